import { Readable } from 'node:stream'
import { parseJson } from '@slipway/kit/json'
import type { RunEvent } from '@slipway/protocol/events'
import type { Database } from '#db/database'
import type { EventLog } from '#features/events/events'
import { selectCommandPage, selectInputPage, selectValueSizes } from './archive-store.ts'
import { selectCalls, selectSteps, selectValues, type CallRow, type CommandRow, type StepRow } from './journal-store.ts'
import type { InputRow } from './input-store.ts'
import {
  lists,
  type ArchivedCall,
  type ArchivedCommand,
  type ArchivedEvent,
  type ArchivedInput,
  type ArchivedRun,
  type ArchivedStep,
} from './run-archive.ts'
import { hashesIn } from './run-values.ts'
import type { RunContentRow, RunRow } from './run-store.ts'

export interface ArchiveListsOptions {
  readonly db: Database
  readonly events: EventLog
  readonly row: RunRow
  readonly content: RunContentRow
  /** Throws when the run has changed since the row was read. */
  readonly verify: () => Promise<void>
}

const rowsAtOnce = 100
const inputsAtOnce = 20
const charactersAtOnce = 8_000_000
// A value that many records refer to may be in an archive more than once, to no effect.
const mostKnown = 50_000

/** The lines of an archive, read from the database page by page while they are sent. */
export class ArchiveLists {
  readonly #options: ArchiveListsOptions

  constructor(options: ArchiveListsOptions) {
    this.#options = options
  }

  entries(): { readonly path: string; readonly open: () => Readable }[] {
    const entry = (name: keyof typeof lists, rows: () => AsyncGenerator<object>) => ({
      path: lists[name].file,
      open: () => Readable.from(linesOf(rows()), { objectMode: true, highWaterMark: 1 }),
    })
    return [
      entry('values', () => this.#values()),
      entry('calls', () => this.#calls()),
      entry('commands', () => this.#commands()),
      entry('steps', () => this.#steps()),
      entry('inputs', () => this.#inputs()),
      // The last one, which ends with the look whether all of it belongs together.
      entry('events', () => this.#events()),
    ]
  }

  async *#values(): AsyncGenerator<object> {
    const { db, row } = this.#options
    const known = new Set<string>()
    for await (const texts of this.#referring()) {
      const fresh = [...hashesIn(texts)].filter(hash => !known.has(hash)).sort()
      if (known.size > mostKnown) known.clear()
      for (const hash of fresh) known.add(hash)
      for (let start = 0; start < fresh.length; start += 1000) {
        const sizes = await selectValueSizes(db.read, row.family, fresh.slice(start, start + 1000))
        for (const hashes of portions(sizes)) {
          const found = await selectValues(db.read, row.family, hashes)
          for (const [hash, data] of [...found].sort(byHash)) yield { hash, data }
        }
      }
    }
  }

  /** Every text of the run that may refer to values. */
  async *#referring(): AsyncGenerator<readonly string[]> {
    const { origin } = this.#options.content
    if (origin !== null) yield [origin]
    for await (const page of this.#callPages()) yield page.flatMap(({ inputs, outcome }) => [inputs, outcome])
    for await (const page of this.#commandPages()) yield page.map(({ command }) => command)
    for await (const page of this.#stepPages()) yield page.map(({ record }) => record)
  }

  async *#calls(): AsyncGenerator<ArchivedCall> {
    for await (const page of this.#callPages()) yield* page.map(archivedCall)
  }

  async *#commands(): AsyncGenerator<ArchivedCommand> {
    for await (const page of this.#commandPages()) yield* page.map(archivedCommand)
  }

  async *#steps(): AsyncGenerator<ArchivedStep> {
    for await (const page of this.#stepPages()) yield* page.map(archivedStep)
  }

  async *#inputs(): AsyncGenerator<ArchivedInput> {
    const { db, row } = this.#options
    const pages = paged(inputsAtOnce, (after: string, limit) => selectInputPage(db.read, row.id, { after, limit }), {
      first: '',
      placeOf: input => input.key,
    })
    for await (const page of pages) yield* page.map(archivedInput)
  }

  async *#events(): AsyncGenerator<ArchivedEvent> {
    const { events, row, verify } = this.#options
    const pages = paged(
      rowsAtOnce,
      (after: number, limit) => events.read({ organisation: row.organisation, runId: row.id }, { after, limit }),
      {
        first: 0,
        placeOf: event => event.seq,
      },
    )
    for await (const page of pages) yield* page.map(archivedEvent)
    await verify()
  }

  #callPages(): AsyncGenerator<readonly CallRow[]> {
    const { db, row } = this.#options
    return paged(rowsAtOnce, (after: number, limit) => selectCalls(db.read, row.id, { after, limit }), {
      first: 0,
      placeOf: call => call.n,
    })
  }

  #commandPages(): AsyncGenerator<readonly CommandRow[]> {
    const { db, row } = this.#options
    return paged(inputsAtOnce, (after: string, limit) => selectCommandPage(db.read, row.id, { after, limit }), {
      first: '',
      placeOf: command => command.id,
    })
  }

  #stepPages(): AsyncGenerator<readonly StepRow[]> {
    const { db, row } = this.#options
    return paged(rowsAtOnce, (after: number, limit) => selectSteps(db.read, row.id, { after, limit }), {
      first: 0,
      placeOf: step => step.n,
    })
  }
}

/** What `run.json` holds. Which server drove the run, and the key of the request, are of no use elsewhere. */
export function archivedRun({
  row,
  content,
  ...rest
}: {
  readonly row: RunRow
  readonly content: RunContentRow
} & Pick<ArchivedRun, 'dialect' | 'removed_files' | 'left_out'>): ArchivedRun {
  const { id, seed, plan_id, plan_version, plan_digest, status, mode, agent, max_cycles } = row
  const { created_at, started_at, completed_at, seq, entries, records, emitted, starts } = row
  const { forked_from, forked_at, step_timeout_ms, input_timeout_ms } = row
  const run = {
    ...{ id, seed, plan_id, plan_version, plan_digest, status, mode, agent, max_cycles },
    ...{ created_at, started_at, completed_at, seq, entries, records, emitted, starts },
    error: row.error === null ? null : parseJson(row.error),
    held: row.held === null ? null : parseJson(row.held),
    breakpoints: parseJson(row.breakpoints),
    ...{ forked_from, forked_at, step_timeout_ms, input_timeout_ms },
  } as ArchivedRun['run']
  return {
    format: 'slipway-run',
    version: 1,
    run,
    dialect: rest.dialect,
    inputs: content.inputs,
    origin: content.origin,
    node_statuses: parseJson(content.node_statuses) as ArchivedRun['node_statuses'],
    result: content.result,
    removed_files: rest.removed_files,
    left_out: rest.left_out,
  }
}

function archivedCall({ run_id: _runId, size: _size, files, repeated, ...call }: CallRow): ArchivedCall {
  return { ...call, files: parseJson(files) as string[], repeated: repeated === 1 }
}

function archivedCommand({ run_id: _runId, ...command }: CommandRow): ArchivedCommand {
  return command
}

function archivedStep({ run_id: _runId, ...step }: StepRow): ArchivedStep {
  return step as ArchivedStep
}

// When it expires is a matter of the server that asked.
function archivedInput({
  run_id: _runId,
  plan_id: _planId,
  expires_at: _expiresAt,
  ...input
}: InputRow): ArchivedInput {
  return input as ArchivedInput
}

function archivedEvent({ id: _id, run_id: _runId, event, seq, ts, ...data }: RunEvent): ArchivedEvent {
  return { seq, event, ts, data }
}

async function* linesOf(rows: AsyncGenerator<object>): AsyncGenerator<Buffer> {
  for await (const row of rows) yield Buffer.from(`${JSON.stringify(row)}\n`)
}

async function* paged<Row, Place>(
  limit: number,
  read: (after: Place, limit: number) => Promise<readonly Row[]>,
  { first, placeOf }: { readonly first: Place; readonly placeOf: (row: Row) => Place },
): AsyncGenerator<readonly Row[]> {
  for (let after = first; ;) {
    const page = await read(after, limit)
    const last = page.at(-1)
    if (last === undefined) return
    yield page
    after = placeOf(last)
  }
}

/** Hashes in as many lists as their values' sizes ask for. */
function* portions(sizes: readonly { readonly hash: string; readonly size: number }[]): Generator<string[]> {
  let hashes: string[] = []
  let characters = 0
  for (const { hash, size } of sizes) {
    hashes.push(hash)
    characters += size
    if (characters < charactersAtOnce) continue
    yield hashes
    hashes = []
    characters = 0
  }
  if (hashes.length > 0) yield hashes
}

function byHash([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return a < b ? -1 : 1
}
