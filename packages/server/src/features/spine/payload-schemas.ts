import { parseJson } from '@slipway/kit/json'
import { SchemaId } from '@slipway/protocol/bus/envelope'
import { AppError } from '@slipway/protocol/errors'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { RE2JS } from 're2js'
import type { Database, Reader, Tx } from '#db/database'
import type { Outboxes, Tidings } from './outbox.ts'
import { schemaProblem } from './schema-cost.ts'
import { countSchemas, findSchema, insertSchema, listSchemas } from './schema-store.ts'
import type { Schemas } from './spine.ts'

export interface PayloadSchemasDeps {
  readonly db: Database
  readonly outboxes: Outboxes
  readonly now: () => number
}

type Check = (payload: unknown) => readonly string[]

const schemasPerOrganisation = 1_000
const keptChecks = 2_000
const namedProblems = 10

/** What payloads of registered schemas are. Payloads of others pass as bytes. */
export class PayloadSchemas implements Schemas {
  readonly #deps: PayloadSchemasDeps
  /** Null for a schema id that is not registered. */
  readonly #checks = new Map<string, Check | null>()
  readonly #loading = new Map<string, Loading>()
  /** Rises whenever a schema was registered somewhere: what was read before must not be kept then. */
  #generation = 0

  constructor(deps: PayloadSchemasDeps) {
    this.#deps = deps
  }

  async register(organisation: string, id: string, schema: unknown): Promise<void> {
    if (!SchemaId.safeParse(id).success)
      throw new AppError('schema.invalid', `${id} is no schema id. It is arqonbus.<domain>.<thing>.v<N>.`)
    compile(schema, id)
    const text = canonical(schema)
    const { db, outboxes, now } = this.#deps
    await db.transaction(async tx => {
      if ((await findSchema(tx.sql, organisation, id)) === null) {
        if ((await countSchemas(tx, organisation)) >= schemasPerOrganisation)
          throw new AppError('schema.invalid', `An organisation has at most ${schemasPerOrganisation} schemas.`)
        await insertSchema(tx, { organisation, id, schema: text, created_at: now() })
      }
      if ((await findSchema(tx.sql, organisation, id)) !== text)
        throw new AppError(
          'schema.conflict',
          `${id} is registered with another schema. What is registered does not change: raise its version.`,
        )
      outboxes.of(tx).schemas.add(organisation)
    })
  }

  async get(organisation: string, id: string): Promise<unknown> {
    const text = await findSchema(this.#deps.db.read, organisation, id)
    if (text === null) throw new AppError('schema.unknown', `There is no schema ${id}. Payloads of it pass unchecked.`)
    return parseJson(text)
  }

  list(organisation: string): Promise<string[]> {
    return listSchemas(this.#deps.db.read, organisation)
  }

  /**
   * Throws `payload.invalid` for a payload that is not what its schema says. Inside a transaction, `tx` is what is read
   * with. Calls for one schema end in the order in which they were made.
   */
  async check(
    organisation: string,
    { schema, payload }: { readonly schema: string; readonly payload: Uint8Array },
    tx?: Tx,
  ): Promise<void> {
    const known = this.#checks.get(keyOf(organisation, schema))
    const check = known === undefined ? await this.#find(organisation, schema, tx) : known
    if (check === null) return
    const problems = problemsOf(check, payload)
    if (problems.length > 0)
      throw new AppError('payload.invalid', `The payload is no ${schema}: ${problems[0] ?? ''}`, {
        details: { schema, problems },
      })
  }

  heard(tidings: Tidings | 'everything'): void {
    if (tidings !== 'everything' && tidings.schemas.length === 0) return
    this.#generation++
    this.#checks.clear()
  }

  #find(organisation: string, id: string, tx: Tx | undefined): Promise<Check | null> {
    // What waits outside for the only connection must not be waited for by the transaction that has it.
    if (tx !== undefined) return this.#load(tx.sql, organisation, id)
    const key = keyOf(organisation, id)
    const under = this.#loading.get(key)
    if (under?.generation === this.#generation) return under.check
    const load = (): Promise<Check | null> => this.#load(this.#deps.db.read, organisation, id)
    const check = under === undefined ? load() : under.check.then(load, load)
    const loading = { generation: this.#generation, check }
    this.#loading.set(key, loading)
    const forget = (): void => {
      if (this.#loading.get(key) === loading) this.#loading.delete(key)
    }
    check.then(forget, forget)
    return check
  }

  async #load(reader: Reader, organisation: string, id: string): Promise<Check | null> {
    const generation = this.#generation
    const text = await findSchema(reader, organisation, id)
    const check = text === null ? null : compile(parseJson(text), id)
    if (this.#checks.size >= keptChecks) this.#checks.clear()
    if (generation === this.#generation) this.#checks.set(keyOf(organisation, id), check)
    return check
  }
}

interface Loading {
  readonly generation: number
  readonly check: Promise<Check | null>
}

function keyOf(organisation: string, id: string): string {
  return `${organisation}\0${id}`
}

function problemsOf(check: Check, payload: Uint8Array): readonly string[] {
  let value: unknown
  try {
    value = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(payload))
  } catch {
    return ['it is not JSON in UTF-8']
  }
  return check(value)
}

function compile(schema: unknown, id: string): Check {
  const problem = schemaProblem(schema)
  if (problem !== null) throw new AppError('schema.invalid', `${id}: ${problem}`)
  try {
    // Formats are annotations, as JSON Schema has it; patterns come from strangers and run in linear time.
    const ajv = new Ajv2020({
      strict: false,
      validateFormats: false,
      allErrors: false,
      logger: false,
      code: { regExp },
    })
    return checkWith(ajv.compile(schema as object | boolean))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new AppError('schema.invalid', `${id} is no JSON Schema of the draft 2020-12: ${why}`)
  }
}

function checkWith(validate: ValidateFunction): Check {
  return value => {
    if (validate(value)) return []
    const errors = validate.errors ?? []
    return errors.slice(0, namedProblems).map(({ instancePath, message }) => `${instancePath || '/'} ${message ?? ''}`)
  }
}

const longestProgram = 2_000

function linear(pattern: string): { readonly test: (text: string) => boolean; readonly toString: () => string } {
  const compiled = RE2JS.compile(pattern)
  if (compiled.programSize() > longestProgram) throw new Error('A pattern repeats too much.')
  // The compiler of schemas tells patterns apart by their text.
  return { test: text => compiled.matcher(text).find(), toString: () => pattern }
}

const regExp = Object.assign((pattern: string, _flags: string) => linear(pattern) as RegExp, { code: 'linear' })

/** The same text for the same schema, in whatever order its names stand. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, inside: unknown) =>
    typeof inside === 'object' && inside !== null && !Array.isArray(inside)
      ? Object.fromEntries(Object.entries(inside).sort(([a], [b]) => (a < b ? -1 : 1)))
      : inside,
  )
}
