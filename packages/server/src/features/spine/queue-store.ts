import type { Reader, Tx } from '#db/database'
import { Statement } from '#db/statement'
import { listOf, type QueueName } from './job-store.ts'

export interface QueueCounts {
  readonly open: number
  readonly finished: number
  readonly dead: number
}

export type QueueRow = QueueName & QueueCounts

const addStatement = new Statement(
  ({ rows }) => `
    insert into job_queue (organisation, topic, open, finished, dead)
    select organisation, topic, open, finished, dead
    from ${rows('$1', { organisation: 'text', topic: 'text', open: 'integer', finished: 'integer', dead: 'integer' })} as more
    where true
    order by organisation, topic
    on conflict (organisation, topic) do update set
      open = job_queue.open + excluded.open,
      finished = job_queue.finished + excluded.finished,
      dead = job_queue.dead + excluded.dead`,
)

/** Adds to the counts of queues, and to those of all together. */
export async function addCounts(tx: Tx, more: readonly QueueRow[]): Promise<void> {
  const all = { organisation: '', topic: '', open: 0, finished: 0, dead: 0 }
  for (const { open, finished, dead } of more) {
    all.open += open
    all.finished += finished
    all.dead += dead
  }
  const rows = [...more, all].map(row => [row.organisation, row.topic, row.open, row.finished, row.dead])
  await addStatement.run(tx, listOf(rows))
}

const openStatement = new Statement<QueueRow>(
  ({ rows }) => `
    select job_queue.organisation, job_queue.topic, job_queue.open, job_queue.finished, job_queue.dead
    from ${rows('$1', { organisation: 'text', topic: 'text' })} as wanted
    join job_queue on job_queue.organisation = wanted.organisation and job_queue.topic = wanted.topic`,
)

export interface OpenCounts {
  /** Of all organisations together. */
  readonly total: number
  readonly of: (queue: QueueName) => number
}

/** How many jobs of these queues are not over. */
export async function selectOpen(tx: Tx, queues: readonly QueueName[]): Promise<OpenCounts> {
  const distinct = new Map(queues.map(queue => [queueKey(queue), [queue.organisation, queue.topic]]))
  const found = await openStatement.run(tx, listOf([['', ''], ...distinct.values()]))
  const counts = new Map(found.map(row => [queueKey(row), row.open]))
  return {
    total: counts.get(queueKey({ organisation: '', topic: '' })) ?? 0,
    of: queue => counts.get(queueKey(queue)) ?? 0,
  }
}

// No name has a NUL.
export function queueKey({ organisation, topic }: QueueName): string {
  return `${organisation}\0${topic}`
}

/** The queues of an organisation that have or had jobs lately, by topic. */
export function listQueues(reader: Reader, organisation: string): Promise<QueueRow[]> {
  return reader
    .selectFrom('job_queue')
    .select(['organisation', 'topic', 'open', 'finished', 'dead'])
    .where('organisation', '=', organisation)
    .orderBy('topic')
    .limit(1000)
    .execute()
}
