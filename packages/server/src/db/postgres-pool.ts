import pg from 'pg'
import type { PostgresPool, PostgresPoolClient, PostgresQueryResult } from 'kysely'
import { DatabaseUnavailable } from './faults.ts'
import type { Sockets } from './postgres-sockets.ts'
import { decodeText, encodeText } from './postgres-text.ts'
import { lossSettings, postgresTimes } from './postgres-times.ts'

export interface PostgresOptions {
  readonly url: string
  /** Most connections at a time, besides one that listens. */
  readonly poolSize: number
  /** Whether statements may take as long as they like, as changes of the schema must. */
  readonly isPatient: boolean
  /** How long a statement may take, in milliseconds. */
  readonly timeoutMs: number
}

/**
 * Connections that open as they are needed, and anew after the database was gone. Every failure that is not Postgres'
 * own answer comes out as `DatabaseUnavailable`. Texts with NUL are kept losslessly.
 */
export function openPool(options: PostgresOptions, sockets: Sockets): PostgresPool {
  // The pool waits for the promise before it hands the connection out.
  const onConnect = (client: pg.ClientBase): unknown => prepareSession(client, options)
  const pool = new pg.Pool({
    ...clientOptions(options, sockets),
    max: options.poolSize,
    // Statements that do not wait for each other's results travel together.
    pipeline: true,
    ...(options.isPatient ? {} : { query_timeout: postgresTimes(options.timeoutMs).answerMs }),
    onConnect,
  })
  // A connection that breaks while nobody uses it is replaced at the next use.
  pool.on('error', () => undefined)
  return {
    options: {},
    // It has no cursors, which nobody asks for.
    connect: async () => new Session(await answered(pool.connect())) as unknown as PostgresPoolClient,
    end: () => pool.end(),
  }
}

export function listenerOptions(options: PostgresOptions, sockets: Sockets): pg.ClientConfig {
  return { ...clientOptions(options, sockets), query_timeout: postgresTimes(options.timeoutMs).heartbeatAnswerMs }
}

function clientOptions({ url, timeoutMs }: PostgresOptions, sockets: Sockets): pg.ClientConfig {
  return {
    connectionString: url,
    application_name: 'slipway',
    connectionTimeoutMillis: postgresTimes(timeoutMs).connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    stream: sockets.create,
    types: { getTypeParser },
  }
}

/**
 * What a commit promises is not left to the configuration of the database: it is on disk. And Postgres plans a statement
 * while its table is small and keeps the plan when it is large, reading all of it for a few rows; every statement here
 * finds its rows by an index, and is told so. Compiling them would cost more than it saves.
 */
async function prepareSession(client: pg.ClientBase, { isPatient, timeoutMs }: PostgresOptions): Promise<void> {
  const { statementMs, idleInTransactionMs } = postgresTimes(timeoutMs)
  await client.query(
    `select set_config('statement_timeout', '${isPatient ? 0 : statementMs}', false),
      set_config('idle_in_transaction_session_timeout', '${idleInTransactionMs}', false),
      ${lossSettings(timeoutMs)},
      case when current_setting('synchronous_commit') <> 'remote_apply'
        then set_config('synchronous_commit', 'on', false) end,
      set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
      set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false)`,
  )
}

// Enough for every statement the stores write; the rest are lists of varying length, which are not worth preparing.
const keptStatements = 500
const names = new Map<string, string>()

function nameOf(text: string): string | undefined {
  const known = names.get(text)
  if (known !== undefined || names.size >= keptStatements) return known
  const name = `slipway_${names.size}`
  names.set(text, name)
  return name
}

/**
 * Ends statements whose answer nobody waits for: they resolve as soon as they are sent, together with what is sent next.
 * Only for transactions, where one that fails makes the commit fail with its error.
 */
export const answeredByCommit = '/* answered by commit */'

const nothing: PostgresQueryResult<never> = { command: 'SELECT', rowCount: 0, rows: [] }

/** A connection from when it is taken out of the pool to when it is given back: one transaction, or one statement. */
class Session {
  readonly #client: pg.PoolClient
  #isBroken = false
  #isOver = false
  /** Of the statements that nobody waited for. */
  #failure: { readonly error: unknown } | null = null

  constructor(client: pg.PoolClient) {
    this.#client = client
    client.on('error', this.#onError)
  }

  query<R>(sql: unknown, parameters: readonly unknown[] = []): Promise<PostgresQueryResult<R>> {
    const text = String(sql)
    // It would be done by itself, or by whoever has the connection next.
    if (this.#isOver && text !== 'rollback') return Promise.reject(new Error('A transaction was used after its end.'))
    this.#isOver = text === 'commit' || text === 'rollback'
    const values = parameters.map(encodeValue)
    const name = values.length > 0 ? nameOf(text) : undefined
    const query = name === undefined ? { text, values } : { name, text, values }
    const answer = answered(this.#client.query(query)) as unknown as Promise<PostgresQueryResult<R>>
    if (text !== 'begin' && !text.endsWith(answeredByCommit)) return this.#waitedFor(answer, text)
    answer.catch((error: unknown) => (this.#failure ??= { error }))
    return Promise.resolve(nothing)
  }

  release(destroy = false): void {
    this.#isOver = true
    this.#client.off('error', this.#onError)
    this.#client.release(destroy || this.#isBroken)
  }

  /** Answers come in the order of the statements: what went wrong first is what is to be told. */
  async #waitedFor<T>(answer: Promise<T>, text: string): Promise<T> {
    try {
      const value = await answer
      // Postgres answers the commit of a transaction that has failed with its rollback.
      if (this.#failure !== null && text === 'commit') throw this.#failure.error
      return value
    } catch (error) {
      throw this.#failure === null || text === 'rollback' ? error : this.#failure.error
    }
  }

  readonly #onError = (): void => {
    this.#isBroken = true
  }
}

function encodeValue(value: unknown): unknown {
  if (typeof value === 'string') return encodeText(value)
  return Array.isArray(value) ? value.map(encodeValue) : value
}

/** Gives what Postgres says; everything else that goes wrong means that it could not be reached. */
async function answered<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof pg.DatabaseError || error instanceof TypeError) throw error
    const why = error instanceof Error ? error.message : String(error)
    throw new DatabaseUnavailable(`The database does not answer (${why || 'no connection'}).`, { cause: error })
  }
}

// Counts, sizes and times: whole numbers within what a JavaScript number holds.
const numbers = new Set<number>([pg.types.builtins.INT8, pg.types.builtins.NUMERIC])
const texts = new Set<number>([pg.types.builtins.TEXT, pg.types.builtins.VARCHAR])

const getTypeParser: typeof pg.types.getTypeParser = (oid: number, format?: 'text' | 'binary') => {
  if (numbers.has(oid)) return Number
  if (texts.has(oid)) return decodeText
  return pg.types.getTypeParser(oid, format) as (value: unknown) => unknown
}
