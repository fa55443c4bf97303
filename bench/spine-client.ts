import type { Envelope } from '@slipway/protocol/bus/envelope'
import { connectBus, type Bus } from '@slipway/sdk/bus'
import { connectOperator } from '@slipway/sdk/operator'
import { playEach, type Order } from './contender.ts'
import type { RoleSettings } from './spine-queue.ts'

/** Publishes jobs on the bus and waits for their results, or does them; it takes the same orders as the peers. */

const given = JSON.parse(process.env['BENCH_SETTINGS'] ?? '{}') as RoleSettings
const topic = 'bench.jobs'

interface Work {
  readonly n: number
}

/** Resolves once jobs are taken. */
function operate(): Promise<void> {
  return new Promise(resolve => {
    const operator = connectOperator(given.url, given.token, {
      id: 'bench-operator',
      type: 'bench',
      maxParallelJobs: given.concurrency,
      onState: ({ type }) => {
        if (type === 'connected') resolve()
      },
    })
    operator.subscribe<Work, { readonly answer: number }>(topic, ({ n }) => ({ answer: n }))
    closing.push(() => operator.close())
  })
}

/** Whoever publishes follows the results of the topic, and finds its jobs among them. */
class Results {
  readonly #waiting = new Map<string, (result: Envelope) => void>()
  readonly #early = new Map<string, Envelope>()

  async follow(bus: Bus): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    void this.#take(bus, resolve)
    await promise
  }

  of(jobId: string): Promise<Envelope> {
    const early = this.#early.get(jobId)
    this.#early.delete(jobId)
    if (early) return Promise.resolve(early)
    return new Promise(resolve => this.#waiting.set(jobId, resolve))
  }

  async #take(bus: Bus, onReady: () => void): Promise<void> {
    for await (const result of bus.subscribe('bench.results', { window: 256, onReady })) {
      const id = result.job_id ?? ''
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (waiting) waiting(result)
      else this.#early.set(id, result)
    }
  }
}

async function publish(): Promise<void> {
  const bus = await connectBus(given.url, given.token)
  closing.push(() => bus.close())
  const results = new Results()
  await results.follow(bus)
  let last = 0
  const playOne = async (): Promise<void> => {
    const { id } = await bus.publish({ topic, schema: 'arqonbus.bench.job.v1', payload: { n: ++last } })
    const { status } = await results.of(id)
    if (status !== 'done') throw new Error(`The job ${id} is ${status}.`)
  }
  process.on('message', ({ runs, concurrency }: Order & { readonly concurrency: number }) => {
    playEach(runs, concurrency, playOne).then(
      value => process.send?.({ value }),
      (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
    )
  })
}

const closing: (() => Promise<void>)[] = []
process.on('disconnect', () => {
  void Promise.allSettled(closing.map(close => close())).then(() => process.exit(0))
})
await (given.role === 'operator' ? operate() : publish())
process.send?.({ ready: true })
