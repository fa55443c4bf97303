import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Order, Played, Session } from './contender.ts'
import { owned } from './leftovers.ts'
import { memoryOf } from './server-process.ts'
import type { RoleSettings } from './spine-queue.ts'

export interface PeerSettings {
  readonly folder: string
  readonly databaseUrl: string | null
  readonly poolSize: number
  readonly concurrency: number
  readonly tellSteps: boolean
  readonly stepMs: number
  readonly resume: boolean
  readonly port?: number
}

export interface PeerProcessOptions {
  readonly settings: PeerSettings | RoleSettings
  readonly onStep?: ((step: string) => void) | undefined
  readonly wrapper?: readonly string[] | undefined
}

type Message = { readonly ready?: true; readonly step?: string; readonly value?: unknown; readonly error?: string }

/** A script in a process of its own that takes orders over the IPC channel, one at a time. */
export class PeerProcess implements Session {
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  readonly #concurrency: number
  #isKilled = false
  #answer: ((message: Message) => void) | null = null

  private constructor(child: ChildProcess, options: PeerProcessOptions) {
    this.#child = child
    this.#concurrency = options.settings.concurrency
    this.#exited = once(child, 'exit').then(() => this.#answer?.({ error: 'The process ended.' }))
    child.on('message', (message: Message) => {
      // What was on its way when the process was killed is not told any more.
      if (this.#isKilled) return
      if (message.step !== undefined) options.onStep?.(message.step)
      else this.#answer?.(message)
    })
  }

  /** Resolves once the script says that it is ready for orders. */
  static async start(script: string, options: PeerProcessOptions): Promise<PeerProcess> {
    const [program = '', ...args] = [...(options.wrapper ?? []), process.execPath, script]
    const spawned = spawn(program, args, {
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'], BENCH_SETTINGS: JSON.stringify(options.settings) },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const peer = new PeerProcess(owned(spawned), options)
    await peer.#reply()
    return peer
  }

  async play(order: Order): Promise<Played> {
    return (await this.#ask('play', { ...order, concurrency: this.#concurrency })) as Played
  }

  async alone(order: Order): Promise<Played> {
    return (await this.#ask('play', { ...order, concurrency: 1 })) as Played
  }

  async begin(order: Order): Promise<void> {
    await this.#ask('begin', order)
  }

  async wait(runs: number): Promise<void> {
    await this.#ask('wait', { runs })
  }

  memoryMb(): number | null {
    return memoryOf(this.#child.pid ?? 0)?.nowMb ?? null
  }

  async kill(): Promise<void> {
    this.#isKilled = true
    this.#child.kill('SIGKILL')
    await this.#exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The script ends when its channel is closed.
    if (this.#child.connected) this.#child.disconnect()
    await this.#exited
  }

  async #ask(order: string, given: object): Promise<unknown> {
    const reply = this.#reply()
    this.#child.send({ order, ...given })
    return await reply
  }

  async #reply(): Promise<unknown> {
    const message = await new Promise<Message>(resolve => (this.#answer = resolve))
    this.#answer = null
    if (message.error !== undefined) throw new Error(message.error)
    return message.value
  }
}
