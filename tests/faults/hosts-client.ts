import { setTimeout as pause } from 'node:timers/promises'
import { once } from 'node:events'
import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import { connectBus } from '@slipway/sdk/bus'
import { createClient, type Client } from '@slipway/sdk/client'
import { followRun } from '@slipway/sdk/event-stream'
import { chainPlan } from '../testbed/small-plans.ts'
import { longWorkMs, say, type Work, type WorkResult } from './hosts-said.ts'
import { outcomeOf } from './outcome.ts'

// Publishes jobs and starts runs on servers until its input ends, and follows what comes of them.
const [token = '', ...urls] = process.argv.slice(2)
const publishers = 16
const starters = 2
const pauseMs = 120
const steps = 12
const longEveryMs = 1_000
const pingMs = 500
const clients = urls.map(url => createClient({ url, token, timeoutMs: 2_000 }))

let isOver = false
process.stdin.resume()
void once(process.stdin, 'end').then(() => (isOver = true))

/** Asks one server after the other until one has answered. */
async function answered<T>(ask: (client: Client) => Promise<T>): Promise<T> {
  for (let turn = Math.floor(Math.random() * clients.length); ; turn++) {
    const client = clients[turn % clients.length]
    if (client === undefined) throw new Error('There is no server.')
    try {
      return await ask(client)
    } catch (error) {
      if (!(error instanceof AppError && error.retryable)) throw error
      await pause(50)
    }
  }
}

/** Every second there is a job that takes long, whatever else is done in that time. */
let lastLong = 0
function workMs(n: number): number {
  const now = performance.now()
  if (now - lastLong < longEveryMs) return n % 5
  lastLong = now
  return longWorkMs
}

let jobs = 0
async function publish(): Promise<void> {
  while (!isOver) {
    const n = ++jobs
    const payload: Work = { n, ms: workMs(n) }
    const job = { payload, idempotencyKey: `job ${n}`, maxAttempts: 100 }
    const { jobId } = await answered(client => client.jobs.submit('work', job))
    say({ say: 'job', n, id: jobId })
    await pause(pauseMs)
  }
}

let runs = 0
async function startRuns(): Promise<void> {
  while (!isOver) {
    const n = ++runs
    const start = { inputs: { c0: 'the start' }, idempotency_key: `run ${n}` }
    const { run_id: id } = await answered(client => client.startRun('chain', start))
    say({ say: 'run', n, id })
    await followed(id)
  }
}

async function followed(id: string): Promise<void> {
  const client = clients[Math.floor(Math.random() * clients.length)]
  if (client === undefined) return
  const numbers: number[] = []
  for await (const { seq } of followRun(client, id, { after: 0, pingMs, firstDelayMs: 100 })) numbers.push(seq)
  say({ say: 'over', run: id, numbers, outcome: await answered(one => outcomeOf(one, id)) })
}

async function followResults(at: string): Promise<void> {
  await using bus = await connectBus(at, token, {
    pingMs,
    timeoutMs: 2_000,
    firstDelayMs: 100,
    onState: ({ type }) => say({ say: 'link', to: at, isUp: type === 'connected' }),
  })
  for await (const { seq = 0, job_id: job = '', payload } of bus.subscribe('work.results', { after: 0 })) {
    const result = parseJson(Buffer.from(payload).toString()) as WorkResult
    say({ say: 'result', at, seq, job, result })
  }
}

await answered(client => client.deploy(chainPlan('chain', steps)))
for (const url of urls) void followResults(url)
await Promise.all([...Array.from({ length: publishers }, publish), ...Array.from({ length: starters }, startRuns)])
say({ say: 'rests' })
