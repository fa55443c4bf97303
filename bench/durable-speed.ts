import { makeHome, type Contender, type Order } from './contender.ts'
import { inNewHome, pick, roundsInTurn, rowsOf, type Field } from './field.ts'
import type { Row } from './report.ts'
import { quantile } from './rounds.ts'

const concurrencies = [64, 16, 1] as const
const stepsOfRun = 50
const roundMs = 3_000
const stepsAlone = 10
const runsAlone = 100
const diskRuns = 64
const diskSteps = [10, 110] as const
const largeRuns = 2
const largeSteps = [10, 60] as const
const largeBytes = 1_000_000

/** Durable steps per second with many runs at once and with one, each step on disk before the next one starts. */
export async function benchThroughput(field: Field): Promise<Row[]> {
  const rows: Row[] = []
  for (const concurrency of concurrencies) {
    const what = `${concurrency === 1 ? '1 run' : `${concurrency} runs`} at once`
    const measure = (contender: Contender): Promise<number> => stepsPerSecond(field, contender, concurrency)
    const figures = await roundsInTurn(field, what, measure)
    const note = `runs of ${stepsOfRun} steps`
    rows.push(
      ...rowsOf({ name: `durable steps per second, ${what}`, unit: 'steps/s', better: 'higher', note }, figures),
    )
    if (concurrency > 1) continue
    const perStep = pick(figures, rate => 1000 / rate)
    rows.push(...rowsOf({ name: 'latency per step, 1 run at once', unit: 'ms', better: 'lower', note }, perStep))
  }
  return rows
}

function stepsPerSecond(field: Field, contender: Contender, concurrency: number): Promise<number> {
  return inNewHome(field, contender, {
    concurrency,
    work: async session => {
      const warmUp = { runs: Math.max(concurrency, 4), steps: stepsOfRun }
      await session.play(warmUp)
      const { ms } = await session.play(warmUp)
      const runs = Math.max(concurrency, Math.ceil((warmUp.runs * roundMs) / ms))
      const played = await session.play({ runs, steps: stepsOfRun })
      return (runs * stepsOfRun * 1000) / played.ms
    },
  })
}

/** How long a run of ten steps takes while nothing else happens. */
export async function benchAlone(field: Field): Promise<Row[]> {
  const found = await roundsInTurn(field, 'a run alone', contender =>
    inNewHome(field, contender, {
      concurrency: 1,
      work: async session => {
        await session.alone({ runs: runsAlone / 2, steps: stepsAlone })
        return session.alone({ runs: runsAlone, steps: stepsAlone })
      },
    }),
  )
  const name = `${stepsAlone}-step run alone`
  const note = `${runsAlone} runs a round, from asking to knowing its end`
  const metric = (part: number) => ({ name: `${name}, p${part * 100}`, unit: 'ms', better: 'lower', note }) as const
  const accepted = new Map([...found].filter(([, all]) => all.every(played => played.sinceAccepted !== undefined)))
  return [
    ...[0.5, 0.99].flatMap(part =>
      rowsOf(
        metric(part),
        pick(found, played => quantile(played.latencies, part)),
      ),
    ),
    ...[0.5, 0.99].flatMap(part =>
      rowsOf(
        { ...metric(part), name: `${name}, accepted to finished, p${part * 100}`, note: `${runsAlone} runs a round` },
        pick(accepted, played => quantile(played.sinceAccepted ?? [], part)),
      ),
    ),
  ]
}

/** What a step leaves on the disk, and what it leaves when a run holds something large that no step changes. */
export async function benchDisk(field: Field): Promise<Row[]> {
  const small = await roundsInTurn(field, 'bytes on disk', contender => growthOfSteps(field, contender))
  const large = await roundsInTurn(field, 'bytes on disk with a large value', contender =>
    growthWithLarge(field, contender),
  )
  const note = `what ${diskSteps[1] - diskSteps[0]} more steps add to each of ${diskRuns} runs, after a stop in order`
  const logged = new Map(
    [...small].flatMap(([contender, growths]) => {
      const figures = growths.flatMap(({ log }) => (log === null ? [] : [log]))
      return figures.length === 0 ? [] : [[contender, figures] as const]
    }),
  )
  return [
    ...rowsOf(
      { name: 'bytes on disk per step', unit: 'bytes', better: 'lower', note },
      pick(small, growth => growth.disk),
    ),
    ...rowsOf({ name: 'bytes written to the log of Postgres per step', unit: 'bytes', better: 'lower' }, logged),
    ...rowsOf(
      {
        name: 'bytes on disk per step, runs with 1 MB that no step changes',
        unit: 'bytes',
        better: 'lower',
        note: `what ${largeSteps[1] - largeSteps[0]} more steps add to a run`,
      },
      large,
    ),
  ]
}

interface Growth {
  readonly disk: number
  readonly log: number | null
}

/** What more steps add to as many runs: so nothing of it is what an empty database or a run by itself takes. */
async function growthOfSteps(field: Field, contender: Contender): Promise<Growth> {
  const [few, many] = diskSteps
  const less = await filled(field, contender, { runs: diskRuns, steps: few })
  const more = await filled(field, contender, { runs: diskRuns, steps: many })
  const steps = diskRuns * (many - few)
  return {
    disk: (more.bytes - less.bytes) / steps,
    log: more.log === null || less.log === null ? null : (more.log - less.log) / steps,
  }
}

async function growthWithLarge(field: Field, contender: Contender): Promise<number> {
  const [few, many] = largeSteps
  const order = { runs: largeRuns, large: largeText() }
  const less = await filled(field, contender, { ...order, steps: few })
  const more = await filled(field, contender, { ...order, steps: many })
  return (more.bytes - less.bytes) / (largeRuns * (many - few))
}

/** What is in an empty home after these runs and a stop in order. */
async function filled(
  field: Field,
  contender: Contender,
  order: Order,
): Promise<{ readonly bytes: number; readonly log: number | null }> {
  await using home = await makeHome(contender.store, field.cluster)
  const before = await home.logBytes()
  {
    await using session = await contender.open(home, { concurrency: 16 })
    await session.play(order)
  }
  const after = await home.logBytes()
  return { bytes: await home.bytes(), log: before === null || after === null ? null : after - before }
}

/** Letters without a pattern, so that no database makes them small. */
function largeText(): string {
  const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'
  let state = 1
  return Array.from({ length: largeBytes }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return letters[state >>> 26]
  }).join('')
}
