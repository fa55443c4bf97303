import { parseJson } from '@slipway/kit/json'
import { PublishJob, Schedule, type CheckedJob, type CheckedSchedule } from '@slipway/protocol/bus/jobs'
import { AppError } from '@slipway/protocol/errors'
import { Cron } from 'croner'
import type { Tx } from '#db/database'
import { scheduleMisfired } from '#observe/spine-log'
import { checked } from './checked.ts'
import type { PayloadSchemas } from './payload-schemas.ts'
import { publishAll } from './publisher.ts'
import {
  countSchedules,
  deleteSchedule,
  listSchedules,
  selectDueSchedules,
  selectNextFiring,
  writeFiring,
  writeSchedule,
  type ScheduleRow,
} from './schedule-store.ts'
import type { SpineParts } from './spine-parts.ts'
import type { Schedules, ScheduleView } from './spine.ts'

const schedulesPerOrganisation = 1_000
const schedulesAtOnce = 100
// A server that is a moment late fires what it missed one by one; later than that the misfire policy holds.
const punctualMs = 60_000

/** Jobs that are published when their time comes: by one server, in the transaction that moves the schedule on. */
export class JobSchedules implements Schedules {
  readonly #parts: SpineParts
  readonly #schemas: PayloadSchemas
  readonly #expect: (at: number) => void

  constructor(parts: SpineParts, schemas: PayloadSchemas, expect: (at: number) => void) {
    this.#parts = parts
    this.#schemas = schemas
    this.#expect = expect
  }

  async put(given: Schedule): Promise<ScheduleView> {
    const schedule = checked(Schedule, given)
    const { db, now } = this.#parts
    const created = now()
    const { payload, ...job } = schedule.job
    const row: ScheduleRow = {
      organisation: schedule.organisation,
      name: schedule.name,
      cron: schedule.cron,
      time_zone: schedule.timeZone,
      misfire: schedule.misfire,
      job: JSON.stringify(job),
      payload,
      created_at: created,
      next_at: nextOf(schedule, created),
      last_job_id: null,
    }
    await this.#schemas.check(schedule.organisation, { schema: job.schema, payload })
    await db.transaction(async tx => {
      if ((await countSchedules(tx, schedule.organisation)) >= schedulesPerOrganisation)
        throw new AppError('queue.full', `An organisation has at most ${schedulesPerOrganisation} schedules.`)
      await writeSchedule(tx, row)
    })
    this.#expect(row.next_at)
    return viewOf(row)
  }

  async list(organisation: string): Promise<ScheduleView[]> {
    return (await listSchedules(this.#parts.db.read, organisation)).map(viewOf)
  }

  async delete(organisation: string, name: string): Promise<void> {
    if (!(await this.#parts.db.transaction(tx => deleteSchedule(tx, organisation, name))))
      throw new AppError('schedule.unknown', `There is no schedule ${name}.`)
  }

  /** Fires what is due; gives when the next one is. */
  async fire(): Promise<number | null> {
    const { db } = this.#parts
    for (let fired = schedulesAtOnce; fired === schedulesAtOnce;) fired = await db.transaction(tx => this.#fireSome(tx))
    return selectNextFiring(db.read)
  }

  async #fireSome(tx: Tx): Promise<number> {
    const now = this.#parts.now()
    const due = await selectDueSchedules(tx, now, schedulesAtOnce)
    for (const row of due) await this.#fireOne(tx, row, now)
    return due.length
  }

  async #fireOne(tx: Tx, row: ScheduleRow, now: number): Promise<void> {
    const { counters, log } = this.#parts
    const lateMs = now - row.next_at
    const isLate = lateMs > punctualMs
    const fires = !isLate || row.misfire === 'once'
    const jobId = fires ? await this.#publish(tx, row) : null
    const schedule = { cron: row.cron, timeZone: row.time_zone }
    await writeFiring(tx, row, { nextAt: nextOf(schedule, isLate ? now : row.next_at), jobId })
    tx.afterCommit(() => {
      counters.add(jobId === null ? 'misfired' : 'scheduled')
      if (isLate || jobId === null) scheduleMisfired(log, { name: row.name, lateMs })
    })
  }

  /** Null where the queue is full: then this firing is left out. */
  async #publish(tx: Tx, { organisation, job, payload }: ScheduleRow): Promise<string | null> {
    const parsed: CheckedJob = PublishJob.parse({ ...(parseJson(job) as object), payload })
    const [outcome] = await publishAll(tx, [{ organisation, job: parsed }], this.#parts)
    return outcome?.ok === true ? outcome.value.jobId : null
  }
}

/** The first time behind `after`. Throws `input.invalid` where there is none. */
function nextOf({ cron, timeZone }: Pick<CheckedSchedule, 'cron' | 'timeZone'>, after: number): number {
  const next = cronNext(cron, timeZone, after)
  if (next === null) throw new AppError('input.invalid', `${cron} in ${timeZone} is no time that comes again.`)
  return next
}

function cronNext(cron: string, timezone: string, after: number): number | null {
  try {
    return new Cron(cron, { timezone }).nextRun(new Date(after))?.getTime() ?? null
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new AppError('input.invalid', `${cron} in ${timezone} is no time of a schedule: ${why}`, { cause })
  }
}

function viewOf(row: ScheduleRow): ScheduleView {
  const { topic } = parseJson(row.job) as { readonly topic: string }
  return {
    organisation: row.organisation,
    name: row.name,
    cron: row.cron,
    timeZone: row.time_zone,
    misfire: row.misfire as ScheduleView['misfire'],
    topic,
    nextAt: row.next_at,
    lastJobId: row.last_job_id,
  }
}
