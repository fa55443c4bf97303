import { makeHome } from './contender.ts'
import { pick, roundsInTurn, rowsOf, type Field } from './field.ts'
import type { Row } from './report.ts'
import { quantile } from './rounds.ts'
import type { QueueContender, QueueSession } from './spine-queue.ts'

const inFlight = 64
const roundMs = 3_000
const warmUpJobs = 512
const jobsAlone = 300

/** Jobs a second from publishing to the publisher's having the result, many of them under way at a time. */
export async function benchThroughput(field: Field<QueueContender>): Promise<Row[]> {
  const found = await roundsInTurn(field, `${inFlight} in flight`, contender =>
    inNewHome(field, contender, {
      inFlight,
      async work(session) {
        await session.play(warmUpJobs)
        const { ms: warmUpMs } = await session.play(warmUpJobs)
        const jobs = Math.max(warmUpJobs, Math.ceil((warmUpJobs * roundMs) / warmUpMs))
        const before = session.processorMs()
        const { ms, latencies } = await session.play(jobs)
        const after = session.processorMs()
        return {
          rate: (jobs * 1000) / ms,
          median: quantile(latencies, 0.5),
          processor: before === null || after === null ? null : ((after - before) * 1000) / jobs,
        }
      },
    }),
  )
  const processor = new Map(
    [...found].flatMap(([contender, rounds]) => {
      const figures = rounds.flatMap(({ processor: figure }) => (figure === null ? [] : [figure]))
      return figures.length === 0 ? [] : [[contender, figures] as const]
    }),
  )
  const name = (what: string): string => `${what}, ${inFlight} in flight`
  return [
    ...rowsOf(
      { name: name('jobs per second'), unit: 'jobs/s', better: 'higher', note: 'publish to result' },
      pick(found, ({ rate }) => rate),
    ),
    ...rowsOf(
      { name: name('publish to result, p50'), unit: 'ms', better: 'lower' },
      pick(found, ({ median }) => median),
    ),
    ...rowsOf(
      {
        name: name('processor time of the server per job'),
        unit: 'µs',
        better: 'lower',
        note: 'without a database server',
      },
      processor,
    ),
  ]
}

/** How long a job takes while nothing else happens. */
export async function benchAlone(field: Field<QueueContender>): Promise<Row[]> {
  const single = { ...field, contenders: field.contenders.filter(({ isBatched }) => !isBatched) }
  const found = await roundsInTurn(single, 'a job alone', contender =>
    inNewHome(field, contender, {
      inFlight: 1,
      async work(session) {
        await session.play(jobsAlone)
        return (await session.play(jobsAlone)).latencies
      },
    }),
  )
  return [0.5, 0.99].flatMap(part => {
    const note = `${jobsAlone} jobs a round, one after another`
    const name = `job alone, publish to result, p${part * 100}`
    return rowsOf(
      { name, unit: 'ms', better: 'lower', note },
      pick(found, latencies => quantile(latencies, part)),
    )
  })
}

async function inNewHome<T>(
  { cluster }: Field<QueueContender>,
  contender: QueueContender,
  { inFlight: jobs, work }: { readonly inFlight: number; readonly work: (session: QueueSession) => Promise<T> },
): Promise<T> {
  await using home = await makeHome(contender.store, cluster)
  await using session = await contender.open(home, { inFlight: jobs })
  return await work(session)
}
