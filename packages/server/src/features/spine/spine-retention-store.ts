import type { Reader, Tx } from '#db/database'
import { Statement } from '#db/statement'
import { listOf, type QueueName } from './job-store.ts'
import type { QueueRow } from './queue-store.ts'

const queuesAtOnce = 200

/** Queues with jobs that are over, behind one in the order of their names. */
export function selectQueuesOver(reader: Reader, after: QueueName): Promise<QueueRow[]> {
  return reader
    .selectFrom('job_queue')
    .select(['organisation', 'topic', 'open', 'finished', 'dead'])
    .where(eb => eb.or([eb('finished', '>', 0), eb('dead', '>', 0)]))
    .where('topic', '!=', '')
    .where(eb =>
      eb.or([
        eb('organisation', '>', after.organisation),
        eb.and([eb('organisation', '=', after.organisation), eb('topic', '>', after.topic)]),
      ]),
    )
    .orderBy('organisation')
    .orderBy('topic')
    .limit(queuesAtOnce)
    .execute()
}

export interface Removal {
  readonly queue: QueueName
  /** Only jobs that ended then or before. */
  readonly before: number
  readonly limit: number
}

const overIds = {
  finished: new Statement<{ readonly id: string }>(
    ({ takeFree }) => `
      select id from job
      where organisation = $1 and topic = $2 and finished_at <= $3 and finished_at is not null and state <> 'dead'
      order by finished_at limit $4 ${takeFree('job')}`,
  ),
  dead: new Statement<{ readonly id: string }>(
    ({ takeFree }) => `
      select id from job
      where organisation = $1 and topic = $2 and finished_at <= $3 and state = 'dead'
      order by finished_at limit $4 ${takeFree('job')}`,
  ),
} as const

/** Jobs of a queue that ended first, locked. */
export async function selectOver(tx: Tx, kind: keyof typeof overIds, removal: Removal): Promise<string[]> {
  const { organisation, topic } = removal.queue
  const rows = await overIds[kind].run(tx, organisation, topic, removal.before, removal.limit)
  return rows.map(({ id }) => id)
}

const parts = [
  new Statement(
    ({ rows }) => `delete from job_payload where job_id in (select id from ${rows('$1', { id: 'text' })} as gone)`,
  ),
  new Statement(
    ({ rows }) => `delete from job_attempt where job_id in (select id from ${rows('$1', { id: 'text' })} as gone)`,
  ),
  new Statement(
    ({ rows }) => `delete from job_log where job_id in (select id from ${rows('$1', { id: 'text' })} as gone)`,
  ),
  new Statement(({ rows }) => `delete from job where id in (select id from ${rows('$1', { id: 'text' })} as gone)`),
] as const

const messagesOf = new Statement<{ readonly seq: number }>(
  ({ rows }) => `
    delete from bus_message where seq in (
      select seq from bus_message
      where job_id in (select id from ${rows('$1', { id: 'text' })} as gone) limit $2)
    returning seq`,
)

/** Deletes a portion of the messages of these jobs; gives how many. */
export async function deleteMessagesOf(tx: Tx, jobIds: readonly string[], limit: number): Promise<number> {
  return (await messagesOf.run(tx, listOf(jobIds.map(id => [id])), limit)).length
}

/** Deletes jobs with everything of theirs but messages. */
export async function deleteJobs(tx: Tx, jobIds: readonly string[]): Promise<void> {
  if (jobIds.length === 0) return
  const list = listOf(jobIds.map(id => [id]))
  for (const statement of parts) await statement.run(tx, list)
}

const freeMessages = new Statement<{ readonly seq: number }>(
  () => `
    delete from bus_message where seq in (
      select seq from bus_message where job_id is null and (ts <= $1 or seq <= (select last from bus_counter) - $2)
      order by seq limit $3)
    returning seq`,
)

/** Deletes a portion of the messages of no job that are older than `before`, or not among the newest `keep` of all. */
export async function deleteFreeMessages(
  tx: Tx,
  { before, keep, limit }: { readonly before: number; readonly keep: number; readonly limit: number },
): Promise<number> {
  return (await freeMessages.run(tx, before, keep, limit)).length
}

const emptyQueues = new Statement(
  () => `delete from job_queue where open = 0 and finished = 0 and dead = 0 and topic <> ''`,
)

export async function deleteEmptyQueues(tx: Tx): Promise<void> {
  await emptyQueues.run(tx)
}
