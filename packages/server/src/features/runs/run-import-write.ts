import { createHash } from 'node:crypto'
import type { RunId } from '@slipway/protocol/runs'
import type { Database, Tx } from '#db/database'
import type { EventDraft, EventLog } from '#features/events/events'
import { insertInput } from './input-store.ts'
import { insertCommand, type CallRow, type StepRow, type ValueRow } from './journal-store.ts'
import { inputId } from './people.ts'
import { assertNoRemains } from './retention-store.ts'
import { notARun, type ArchivedCall, type ArchivedCommand, type ArchivedEvent } from './run-archive.ts'
import type { RunArchiveReader } from './run-import-read.ts'
import type { Replayed } from './run-import-replay.ts'
import { findRun, insertRun, type NewRun, type RunRow } from './run-store.ts'
import { ValueReader } from './run-values.ts'

export interface ImportWriterOptions {
  readonly db: Database
  readonly events: EventLog
  readonly organisation: string
  /** The id that the run gets. */
  readonly id: RunId
  readonly archive: RunArchiveReader
  readonly replayed: Replayed
  /** Milliseconds since 1970. */
  readonly now: () => number
}

const rowsAtOnce = 500
const charactersAtOnce = 8_000_000

/** Writes the rows of an imported run, all in the caller's transaction. */
export class ImportWriter {
  readonly #options: ImportWriterOptions
  /** Ids of questions and commands in the archive, and here. */
  readonly #ids = new Map<string, string>()

  constructor(options: ImportWriterOptions) {
    this.#options = options
  }

  async write(tx: Tx): Promise<RunRow> {
    const { organisation, id, archive, db } = this.#options
    const { inputs, origin, result } = archive.document
    const statuses = JSON.stringify(this.#options.replayed.board.statuses())
    await insertRun(tx, this.#row(), { run_id: id, inputs, origin, node_statuses: statuses, result })
    await assertNoRemains(tx, { organisation, runId: id })
    await this.#values(tx)
    for await (const calls of batches(archive.lines('calls'), call => call.inputs.length + call.outcome.length))
      await tx.insertAll('run_call', await this.#calls(calls))
    for await (const steps of batches(archive.lines('steps'), step => step.record.length))
      await tx.insertAll(
        'run_step',
        steps.map((step): StepRow => ({ run_id: id, ...step })),
      )
    await this.#commands(tx)
    await this.#inputs(tx)
    await this.#events(tx)
    await db.notify(tx, 'slipway_runs', id)
    return (await findRun(tx.sql, id)) as RunRow
  }

  #row(): NewRun {
    const { organisation, id, archive, replayed, now } = this.#options
    const { error, held, breakpoints, status, ...run } = archive.document.run
    const importedAt = Math.round(now())
    return {
      ...run,
      id,
      organisation,
      family: id,
      // Nothing goes on by itself because it was imported.
      status: status === 'waiting' ? 'paused' : status,
      seq: run.seq + 1,
      idempotency_key: null,
      request_hash: 'imported',
      progress: JSON.stringify(replayed.board.progress()),
      error: error && JSON.stringify(error),
      held: held && JSON.stringify(held),
      breakpoints: JSON.stringify(breakpoints),
      deadline_at: null,
      owner: null,
      lease: 0,
      lease_until: null,
      imported_at: importedAt,
      compacted_at: importedAt,
    }
  }

  async #values(tx: Tx): Promise<void> {
    const { id, archive } = this.#options
    for await (const values of batches(archive.lines('values'), ({ data }) => data.length))
      await tx.insertMissing(
        'run_value',
        values.map((value): ValueRow => ({ family: id, ...value })),
      )
  }

  async #calls(calls: readonly ArchivedCall[]): Promise<CallRow[]> {
    const { id, archive } = this.#options
    const rows: CallRow[] = []
    for (const { files, repeated, ...call } of calls) {
      const values = new ValueReader(archive.values, '')
      await values.load([call.inputs, call.outcome])
      const size = values.text(call.inputs).length + values.text(call.outcome).length
      rows.push({ run_id: id, ...call, size, files: JSON.stringify(files), repeated: repeated ? 1 : 0 })
    }
    return rows
  }

  async #commands(tx: Tx): Promise<void> {
    const { id, archive } = this.#options
    for await (const command of archive.lines('commands')) {
      const own = this.#commandId(command)
      this.#ids.set(command.id, own)
      await insertCommand(tx, { ...command, id: own, run_id: id })
    }
  }

  // Ids of commands are unique on a server, and this run may be a copy of one that is there.
  #commandId({ id, asked_at: askedAt }: ArchivedCommand): string {
    const hash = createHash('sha256').update(`${this.#options.id}\n${id}`).digest('hex')
    const time = Math.floor(askedAt * 1000)
      .toString(36)
      .padStart(11, '0')
    // As those that were made here: by time, and in their order where that is the same.
    return `${/^cmd_[0-9a-z]{11}/.exec(id)?.[0] ?? `cmd_${time}`}${hash.slice(0, 24)}`
  }

  async #inputs(tx: Tx): Promise<void> {
    const { id, archive } = this.#options
    const { plan_id } = archive.document.run
    for await (const input of archive.lines('inputs')) {
      const own = inputId({ runId: id, key: input.key })
      this.#ids.set(input.id, own)
      await insertInput(tx, { ...input, id: own, run_id: id, plan_id, expires_at: null })
    }
  }

  async #events(tx: Tx): Promise<void> {
    const { organisation, id, archive, events, replayed, now } = this.#options
    const { run } = archive.document
    let seq = 0
    for await (const page of batches(archive.lines('events'), () => 0)) {
      for (const event of page) if (event.seq !== ++seq) throw notARun(`event ${seq} is missing`)
      await events.append(
        tx,
        page.map(event => this.#event(event)),
      )
    }
    if (seq !== run.seq) throw notARun(`it has ${seq} events, not ${run.seq}`)
    const data = { plan_id: run.plan_id, from_run_id: run.id, replayed_steps: replayed.steps }
    await events.append(tx, [{ organisation, runId: id, seq: seq + 1, event: 'run:imported', ts: now(), data }])
  }

  #event({ seq, event, ts, data }: ArchivedEvent): EventDraft {
    const changed = Object.fromEntries(
      (['input_id', 'command_id'] as const).flatMap(field => {
        const own = this.#ids.get(String(data[field]))
        return own === undefined ? [] : [[field, own] as const]
      }),
    )
    const { organisation, id } = this.#options
    return { organisation, runId: id, seq, event, ts, data: { ...data, ...changed } }
  }
}

/** Rows in as many lists as their number and sizes ask for. */
async function* batches<Row>(rows: AsyncIterable<Row>, sizeOf: (row: Row) => number): AsyncGenerator<Row[]> {
  let batch: Row[] = []
  let size = 0
  for await (const row of rows) {
    batch.push(row)
    size += sizeOf(row)
    if (batch.length < rowsAtOnce && size < charactersAtOnce) continue
    yield batch
    batch = []
    size = 0
  }
  if (batch.length > 0) yield batch
}
