import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { settings } from '@slipway/protocol/settings'
import { createClient } from '@slipway/sdk/client'
import { modelChain, packed, personPlan, type BenchPlan } from './bench-plans.ts'
import type { Contender, Home, OpenOptions, Order, Played, Session } from './contender.ts'
import { ModelStub } from './model-stub.ts'
import { PeerProcess } from './peer-process.ts'
import { playRun } from './served-runs.ts'
import {
  childProgram,
  migrateDatabase,
  Poster,
  startServerProcess,
  Watcher,
  type ServerProcess,
} from './server-process.ts'

const pollMs = 10
const postersAtOnce = 16
const patienceMs = 120_000

const sqliteDurability = 'WAL with synchronous=FULL, its default'
const postgresDurability = 'Postgres with fsync=on and synchronous_commit=on, its default'

/** Ourselves, over HTTP and in the process that asks for the runs. */
export const ours: readonly Contender[] = [
  {
    name: 'Slipway over HTTP, SQLite',
    isOurs: true,
    store: 'SQLite',
    durability: sqliteDurability,
    open: openServer,
  },
  {
    name: 'Slipway in process, SQLite',
    isOurs: true,
    store: 'SQLite',
    durability: sqliteDurability,
    open: openChild,
  },
  {
    name: 'Slipway over HTTP, Postgres',
    isOurs: true,
    store: 'Postgres',
    durability: postgresDurability,
    open: openServer,
  },
  {
    name: 'Slipway in process, Postgres',
    isOurs: true,
    store: 'Postgres',
    durability: postgresDurability,
    open: openChild,
  },
]

/** Why our server cannot be measured on Postgres, or null. */
export function oursOnPostgresMissing(): string | null {
  return 'databaseUrl' in settings ? null : 'this server has no setting for a Postgres yet'
}

async function openChild(home: Home, options: OpenOptions): Promise<Session> {
  const { onStep, wrapper } = options
  migrate(home, options)
  return PeerProcess.start(childProgram, {
    settings: {
      folder: home.folder,
      databaseUrl: home.databaseUrl,
      poolSize: 0,
      concurrency: options.concurrency,
      tellSteps: onStep !== undefined,
      stepMs: options.stepMs ?? 0,
      resume: options.resume ?? false,
    },
    onStep,
    wrapper,
  })
}

async function openServer(home: Home, options: OpenOptions): Promise<Session> {
  // The demo model inside the server answers at once; where steps are watched or take time, a model is called.
  const stub = options.onStep || options.stepMs ? await openStub(options) : null
  if (stub) writeAgents(home, stub)
  migrate(home, options)
  const server = await startServerProcess(home.folder, {
    env: {
      SLIPWAY_MAX_CONCURRENT_RUNS: String(options.concurrency),
      ...(home.databaseUrl === null ? {} : { DATABASE_URL: home.databaseUrl }),
    },
    wrapper: options.wrapper,
  })
  return new ServerSession(server, stub)
}

// A start that has something to resume finds a database that it knows, and is not to wait for anything else.
function migrate(home: Home, { resume = false }: OpenOptions): void {
  if (home.databaseUrl !== null && !resume) migrateDatabase(home.databaseUrl, home.folder)
}

function openStub({ onStep, stepMs = 0 }: OpenOptions): Promise<ModelStub> {
  return ModelStub.start({
    delayMs: stepMs,
    onRequest: n => onStep?.(String(n)),
    answer: n => `answer-${n}`,
  })
}

/** Makes the server of this home ask the stub. */
export function writeAgents(home: Home, stub: ModelStub): void {
  const lines = [
    'agents:',
    '  stub:',
    '    provider: openai-compatible',
    '    model: stub',
    `    base_url: ${stub.url}`,
    'default_agent: stub',
  ]
  mkdirSync(join(home.folder, 'config'), { recursive: true })
  writeFileSync(join(home.folder, 'config/agents.yaml'), `${lines.join('\n')}\n`)
}

class ServerSession implements Session {
  readonly #server: ServerProcess
  readonly #stub: ModelStub | null
  readonly #poster: Poster
  readonly #deployed = new Map<string, BenchPlan>()

  constructor(server: ServerProcess, stub: ModelStub | null) {
    this.#server = server
    this.#stub = stub
    this.#poster = new Poster(server.url)
  }

  /** Ends are asked for: with so many runs a socket would be told of each step of each, which nobody asked for. */
  async play(order: Order): Promise<Played> {
    const plan = await this.#deploy(modelChain(order.steps))
    const start = performance.now()
    await this.#post(plan, order)
    await this.#untilOver()
    return { ms: performance.now() - start, latencies: [] }
  }

  async alone(order: Order): Promise<Played> {
    const plan = await this.#deploy(modelChain(order.steps))
    using watcher = await Watcher.open(this.#server.url)
    const start = performance.now()
    const latencies: number[] = []
    const sinceAccepted: number[] = []
    for (let n = 0; n < order.runs; n++) {
      const from = performance.now()
      let acceptedAt = from
      const noting = {
        post: async (path: string, body: unknown) => {
          const reply = await this.#poster.post(path, body)
          acceptedAt = reply.at
          return reply
        },
      }
      await playRun(noting, watcher, withLarge(plan, order))
      const now = performance.now()
      latencies.push(now - from)
      sinceAccepted.push(now - acceptedAt)
    }
    return { ms: performance.now() - start, latencies, sinceAccepted }
  }

  async begin(order: Order): Promise<void> {
    await this.#post(await this.#deploy(modelChain(order.steps)), order)
  }

  async wait(runs: number): Promise<void> {
    await this.#post(await this.#deploy(personPlan), { runs, steps: 1 })
    const giveUpAt = performance.now() + patienceMs
    for (;;) {
      const asked = (await this.#list('/api/inputs?limit=1000')).length
      if (asked >= runs) return
      if (performance.now() > giveUpAt) throw new Error(`Only ${asked} of ${runs} runs came to their question.`)
      await sleep(100)
    }
  }

  memoryMb(): number | null {
    return this.#server.memory()?.nowMb ?? null
  }

  async kill(): Promise<void> {
    this.#poster[Symbol.dispose]()
    await this.#server.kill()
    await this.#stub?.[Symbol.asyncDispose]()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#poster[Symbol.dispose]()
    await this.#server.stop()
    await this.#stub?.[Symbol.asyncDispose]()
  }

  async #deploy(plan: BenchPlan): Promise<BenchPlan> {
    const known = this.#deployed.get(plan.id)
    if (known) return known
    await createClient({ url: this.#server.url }).deploy(packed(plan))
    this.#deployed.set(plan.id, plan)
    return plan
  }

  async #post(plan: BenchPlan, order: Order): Promise<void> {
    const { inputs } = withLarge(plan, order)
    let posted = 0
    const worker = async (): Promise<void> => {
      while (posted < order.runs) {
        posted++
        const reply = await this.#poster.post('/api/runs', { plan_id: plan.id, inputs })
        if (reply.status !== 201) throw new Error(`A run was not accepted: ${reply.status} ${reply.text}`)
      }
    }
    await Promise.all(Array.from({ length: Math.min(postersAtOnce, order.runs) }, worker))
  }

  async #untilOver(): Promise<void> {
    for (const status of ['pending', 'running']) {
      while ((await this.#list(`/api/runs?status=${status}&limit=1`)).length > 0) await sleep(pollMs)
    }
    const failed = await this.#list('/api/runs?status=failed&limit=1')
    if (failed.length > 0) throw new Error(`A run failed: ${JSON.stringify(failed[0])}`)
  }

  async #list(path: string): Promise<readonly unknown[]> {
    const reply = await this.#poster.get(path)
    if (reply.status !== 200) throw new Error(`${path} was answered with ${reply.status}: ${reply.text}`)
    return JSON.parse(reply.text) as readonly unknown[]
  }
}

function withLarge(plan: BenchPlan, { large }: Order): BenchPlan {
  return large === undefined ? plan : { ...plan, inputs: { ...plan.inputs, '{large text}': large } }
}
