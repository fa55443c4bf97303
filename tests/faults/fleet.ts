import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sleep } from '@slipway/kit/abort'
import { AppError } from '@slipway/protocol/errors'
import { createClient, type Client } from '@slipway/sdk/client'
import { inject } from 'vitest'
import { launchChildServer, type LaunchedServer } from '../testbed/child-server.ts'
import { keptPort } from '../testbed/free-port.ts'
import type { Random } from './random.ts'

/** One of the servers, at the same address in each of its lives. */
export interface Berth {
  readonly url: string
  readonly client: Client
  readonly server: LaunchedServer
  isUp: boolean
}

export interface FleetOptions {
  readonly dataDir: string
  readonly servers: number
  readonly agentsFile: string
  readonly env: Readonly<Record<string, string>>
  /** What only one of them is given. */
  readonly envOf?: ((at: number) => Readonly<Record<string, string>>) | undefined
  readonly random: Random
  readonly nodeArguments?: readonly string[] | undefined
}

/** Real servers on one data folder and database. */
export class Fleet implements AsyncDisposable {
  readonly berths: Berth[] = []
  readonly #options: FleetOptions
  readonly #ports: number[] = []
  #earlier = ''

  private constructor(options: FleetOptions) {
    this.#options = options
  }

  static async open(options: FleetOptions): Promise<Fleet> {
    const fleet = new Fleet(options)
    await mkdir(join(options.dataDir, 'config'), { recursive: true })
    await writeFile(join(options.dataDir, 'config', 'agents.yaml'), options.agentsFile)
    for (let at = 0; at < options.servers; at++) {
      fleet.#ports.push(await keptPort())
      fleet.launch(at)
    }
    await fleet.ready()
    return fleet
  }

  launch(at: number): void {
    const port = this.#ports[at] ?? 0
    const server = launchChildServer(this.#options.dataDir, {
      program: inject('serverProgram'),
      nodeArguments: this.#options.nodeArguments,
      env: {
        SLIPWAY_PORT: String(port),
        SLIPWAY_LOG_LEVEL: 'warn',
        SLIPWAY_RATE_LIMIT_PER_MINUTE: '1000000',
        ...this.#options.env,
        ...this.#options.envOf?.(at),
      },
    })
    const url = `http://127.0.0.1:${port}`
    const berth: Berth = { url, client: createClient({ url, timeoutMs: 40_000 }), server, isUp: false }
    server.ready.then(
      () => (berth.isUp = this.berths[at] === berth),
      () => undefined,
    )
    this.berths[at] = berth
  }

  async ready(): Promise<void> {
    for (const { server } of this.berths) await server.ready
  }

  async kill(at: number): Promise<number> {
    const berth = this.at(at)
    berth.isUp = false
    this.#earlier = (this.#earlier + berth.server.output()).slice(-50_000)
    await berth.server.kill()
    return berth.server.pid
  }

  at(at: number): Berth {
    const berth = this.berths[at]
    if (!berth) throw new Error(`There is no server ${at}.`)
    return berth
  }

  /** A client of any server that is up; waits until there is one. */
  async client(signal?: AbortSignal): Promise<Client> {
    for (;;) {
      signal?.throwIfAborted()
      const up = this.berths.filter(({ isUp }) => isUp)
      if (up.length > 0) return this.#options.random.pick(up).client
      await sleep(10, signal)
    }
  }

  /** Everything that servers of this test have complained of. */
  complaints(): string {
    return this.#earlier + this.berths.map(({ server }) => server.output()).join('')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { server } of this.berths) await server[Symbol.asyncDispose]()
  }
}

/** What came of a request: an answer, a refusal, or nobody knows what. */
export type Attempt<T> =
  | { readonly type: 'acknowledged'; readonly value: T }
  | { readonly type: 'refused'; readonly code: string; readonly message: string }
  | { readonly type: 'unknown' }

export async function attempt<T>(work: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { type: 'acknowledged', value: await work() }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const { code, message } = error
    // A server on its way out refuses before it does anything.
    return code === 'server.unreachable' ? { type: 'unknown' } : { type: 'refused', code, message }
  }
}
