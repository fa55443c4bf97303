import { setTimeout as sleep } from 'node:timers/promises'
import { PyDict } from '@slipway/engine/value/value'
import type { PlanId } from '@slipway/protocol/plans'
import { createClient } from '@slipway/sdk/client'
import { startServer } from '@slipway/server/app/start-server'
import type { Models } from '@slipway/server/features/models/models'
import { modelChain, packed, personPlan, type BenchPlan } from './bench-plans.ts'
import { playEach, type Order } from './contender.ts'
import type { PeerSettings } from './peer-process.ts'

/** A server in this process, whose runs are asked for by calls; it takes the same orders as the peers. */

const given = JSON.parse(process.env['BENCH_SETTINGS'] ?? '{}') as PeerSettings
let steps = 0

const models: Models = {
  defaultAgent: 'instant',
  has: () => true,
  agents: () => [{ name: 'instant', provider: 'demo', model: 'instant', key_present: null, is_default: true }],
  async generate() {
    const n = ++steps
    if (given.tellSteps) process.send?.({ step: String(n) })
    if (given.stepMs > 0) await sleep(given.stepMs)
    const facts = { model: 'instant', provider: 'instant', inputTokens: null, outputTokens: null, attempts: 1 }
    return { text: `answer-${n}`, ...facts }
  },
}

const database = given.databaseUrl === null ? {} : { databaseUrl: given.databaseUrl }
const server = await startServer(
  { dataDir: given.folder, port: 0, logLevel: 'warn', maxConcurrentRuns: given.concurrency, ...database },
  { replace: { models } },
)
const { runs, events } = server.context
const ends = new Map<string, (event: string) => void>()
const stop = new AbortController()
const following = followEnds()
const deployed = new Set<string>()

async function followEnds(): Promise<void> {
  for await (const { event, run_id: id } of events.follow({
    organisation: 'default',
    runId: null,
    after: null,
    signal: stop.signal,
  })) {
    if (event !== 'run:completed' && event !== 'run:failed') continue
    ends.get(id ?? '')?.(event)
    ends.delete(id ?? '')
  }
}

async function deploy(plan: BenchPlan): Promise<BenchPlan> {
  if (!deployed.has(plan.id)) await createClient({ url: server.url }).deploy(packed(plan))
  deployed.add(plan.id)
  return plan
}

let named = 0

/** Starts a run; `over` resolves with its end. */
async function start(plan: BenchPlan, large: string | undefined): Promise<{ readonly over: Promise<string> }> {
  const id = `run-${process.pid}-${Date.now().toString(36)}-${++named}`
  const over = new Promise<string>(resolve => ends.set(id, resolve))
  const inputs = large === undefined ? plan.inputs : { ...plan.inputs, '{large text}': large }
  const body = { plan_id: plan.id as PlanId, run_id: id } as Parameters<typeof runs.start>[1]
  await runs.start(
    { organisation: 'default', subject: 'bench' },
    body,
    PyDict.from(inputs as Parameters<typeof PyDict.from>[0]),
  )
  return { over }
}

type Orders = Readonly<Record<string, (order: Order & { readonly concurrency: number }) => Promise<unknown>>>

const orders: Orders = {
  play: async order => {
    const plan = await deploy(modelChain(order.steps))
    return playEach(order.runs, order.concurrency, async () => {
      const { over } = await start(plan, order.large)
      if ((await over) !== 'run:completed') throw new Error('A run failed.')
    })
  },
  begin: async order => {
    const plan = await deploy(modelChain(order.steps))
    for (let n = 0; n < order.runs; n++) await start(plan, order.large)
  },
  wait: async order => {
    const plan = await deploy(personPlan)
    for (let n = 0; n < order.runs; n++) await start(plan, undefined)
    while ((await openQuestions()) < order.runs) await sleep(100)
  },
}

async function openQuestions(): Promise<number> {
  return (await createClient({ url: server.url }).inputs()).length
}

process.on('message', ({ order, ...rest }: { readonly order: string } & Order & { readonly concurrency: number }) => {
  orders[order]?.(rest).then(
    value => process.send?.({ value: value ?? null }),
    (error: unknown) => process.send?.({ error: error instanceof Error ? error.stack : String(error) }),
  )
})
process.on('disconnect', () => {
  stop.abort()
  void following.then(() => server.stop('the bench is done'))
})
process.send?.({ ready: true })
