import { setTimeout as sleep } from 'node:timers/promises'
import { makeHome, type Contender, type Home, type OpenOptions, type Session } from './contender.ts'
import { once, rowsOf, type Field } from './field.ts'
import type { Row } from './report.ts'

const longSteps = 10_000
const shortRuns = 16
const shortSteps = 2_000
const shortStepMs = 20
const killsPerRound = 2
const waitingRuns = 1_000
const quietMs = 3_000
const patienceMs = 300_000

/** From starting the processes again to the first new step of a run of which thousands of steps are done. */
export async function benchResume(field: Field): Promise<Row[]> {
  const figures = await once(field, `a run of ${longSteps} steps`, contender => resumeLongRun(field, contender))
  const name = `time to resume a run of ${longSteps.toLocaleString('en')} steps`
  const note = 'killed in the middle; from starting the process again to its first new step'
  return rowsOf({ name, unit: 'ms', better: 'lower', note }, figures)
}

async function resumeLongRun(field: Field, contender: Contender): Promise<number[]> {
  await using home = await makeHome(contender.store, field.cluster)
  await using victim = await Victim.open(contender, home, { concurrency: 1 })
  await victim.session.begin({ runs: 1, steps: longSteps })
  await victim.untilSteps(longSteps / 2)
  const times: number[] = []
  for (let round = 0; round < field.rounds; round++) {
    await victim.session.kill()
    const startedAt = performance.now()
    times.push((await victim.reopen()) - startedAt)
    await victim.untilSteps(50)
  }
  return times
}

/** From the kill of a server with short steps under way to the first step that is done again or anew. */
export async function benchKill(field: Field): Promise<Row[]> {
  const figures = await once(field, 'kill -9', contender => resumeShortRuns(field, contender))
  const note = `${shortRuns} runs with steps of ${shortStepMs} ms, started again at once`
  return rowsOf({ name: 'kill -9 to the first resumed step, p50', unit: 'ms', better: 'lower', note }, figures)
}

async function resumeShortRuns(field: Field, contender: Contender): Promise<number[]> {
  await using home = await makeHome(contender.store, field.cluster)
  await using victim = await Victim.open(contender, home, { concurrency: shortRuns, stepMs: shortStepMs })
  await victim.session.begin({ runs: shortRuns, steps: shortSteps })
  await victim.untilSteps(shortRuns * 10)
  const times: number[] = []
  for (let kill = 0; kill < field.rounds * killsPerRound; kill++) {
    const killedAt = performance.now()
    await victim.session.kill()
    times.push((await victim.reopen()) - killedAt)
    await victim.untilSteps(shortRuns * 5)
  }
  return times
}

/** Processes over one home that are killed and started again, and the steps that they tell of. */
class Victim implements AsyncDisposable {
  session: Session
  readonly #contender: Contender
  readonly #home: Home
  readonly #options: OpenOptions
  readonly #counter: StepCounter

  private constructor(parts: {
    contender: Contender
    home: Home
    options: OpenOptions
    counter: StepCounter
    session: Session
  }) {
    this.#contender = parts.contender
    this.#home = parts.home
    this.#options = parts.options
    this.#counter = parts.counter
    this.session = parts.session
  }

  static async open(contender: Contender, home: Home, given: OpenOptions): Promise<Victim> {
    const counter = new StepCounter()
    const options = { ...given, onStep: () => counter.add() }
    return new Victim({ contender, home, options, counter, session: await contender.open(home, options) })
  }

  untilSteps(count: number): Promise<number> {
    return this.#counter.after(count)
  }

  /** Starts the processes again and says when the first step was begun, as `performance.now()` says it. */
  async reopen(): Promise<number> {
    const first = this.#counter.after(1)
    const opening = this.#contender.open(this.#home, { ...this.#options, resume: true })
    this.session = await opening
    return await first
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.session.kill()
  }
}

class StepCounter {
  #steps = 0
  #waiting: { readonly at: number; readonly resolve: (time: number) => void } | null = null

  add(): void {
    this.#steps++
    if (this.#waiting === null || this.#steps < this.#waiting.at) return
    this.#waiting.resolve(performance.now())
    this.#waiting = null
  }

  /** Resolves with the time at which so many more steps have begun. */
  async after(count: number): Promise<number> {
    const giveUp = new AbortController()
    const reached = new Promise<number>(resolve => (this.#waiting = { at: this.#steps + count, resolve }))
    const late = sleep(patienceMs, 'late' as const, { signal: giveUp.signal, ref: false }).catch(() => 'late' as const)
    const time = await Promise.race([reached, late])
    giveUp.abort()
    if (time === 'late') throw new Error(`Fewer than ${count} steps were done in ${patienceMs} ms.`)
    return time
  }
}

/** The memory of processes whose runs all wait for people, as they came there and after a start with them. */
export async function benchWaiting(field: Field): Promise<Row[]> {
  const figures = await once(field, `${waitingRuns} waiting runs`, contender => memoryOfWaiting(field, contender))
  const rows = (['asked', 'restarted'] as const).map(moment => {
    const name = `memory with ${waitingRuns.toLocaleString('en')} waiting runs`
    const note = 'one figure of one process; Restate: server and handlers'
    const of = new Map([...figures].map(([contender, found]) => [contender, [found[moment]]]))
    const what = moment === 'asked' ? name : `${name}, after a restart`
    return rowsOf({ name: what, unit: 'MB', better: 'lower', note }, of)
  })
  return rows.flat()
}

async function memoryOfWaiting(
  field: Field,
  contender: Contender,
): Promise<{ readonly asked: number; readonly restarted: number }> {
  const options = { concurrency: shortRuns }
  await using home = await makeHome(contender.store, field.cluster)
  const asked = await (async () => {
    await using session = await contender.open(home, options)
    await session.wait(waitingRuns)
    return await quietMemory(session)
  })()
  await using session = await contender.open(home, { ...options, resume: true })
  return { asked, restarted: await quietMemory(session) }
}

async function quietMemory(session: Session): Promise<number> {
  await sleep(quietMs)
  const memory = session.memoryMb()
  if (memory === null) throw new Error('This system does not say how much memory a process has.')
  return memory
}
