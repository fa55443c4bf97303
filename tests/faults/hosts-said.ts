import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { parseJson } from '@slipway/kit/json'

/** What a program of the deployment says of itself, one line of JSON each. */
export type Said = { readonly [What in keyof Sayings]: { readonly say: What } & Sayings[What] }[keyof Sayings]

export type SaidOf<What extends Said['say']> = Extract<Said, { readonly say: What }>

interface Sayings {
  /** An operator has begun with a job. */
  readonly begun: HandOut
  /** It has done it, whatever becomes of the result. */
  readonly applied: HandOut
  /** Whether an operator, or a follower of the client, has its connection. */
  readonly link: { readonly to: string; readonly isUp: boolean }
  /** A job that was acknowledged. */
  readonly job: Acknowledged
  /** A run that was acknowledged. */
  readonly run: Acknowledged
  /** A result that a follower was given. */
  readonly result: { readonly at: string; readonly seq: number; readonly job: string; readonly result: WorkResult }
  /** The numbers of all events of a run that is over, in the order in which they came, and what it came to. */
  readonly over: { readonly run: string; readonly numbers: readonly number[]; readonly outcome: string }
  /** Everything that was begun is acknowledged, and nothing further will be. */
  readonly rests: object
}

export interface HandOut {
  readonly job: string
  readonly attempt: number
  readonly ms: number
}

export interface Acknowledged {
  readonly n: number
  readonly id: string
}

/** Longer than a lease. */
export const longWorkMs = 3_000

export interface Work {
  readonly n: number
  /** How long it takes. */
  readonly ms: number
}

export interface WorkResult {
  readonly n: number
  readonly square: number
  readonly attempt: number
}

export function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`)
}

/** A program of the deployment, as the test sees it. */
export class Speaker implements AsyncDisposable {
  readonly name: string
  readonly heard: Said[] = []
  readonly #child: ChildProcess

  constructor(name: string, child: ChildProcess) {
    this.name = name
    this.#child = child
    if (child.stdout) createInterface({ input: child.stdout }).on('line', line => this.#hear(line))
  }

  all<What extends Said['say']>(what: What): SaidOf<What>[] {
    return this.heard.filter((said): said is SaidOf<What> => said.say === what)
  }

  /** Whether its connection to there is up, as it last said. */
  isUp(to: string): boolean {
    return this.all('link').findLast(link => link.to === to)?.isUp ?? false
  }

  /** Asks it to end what it does by itself. */
  rest(): void {
    this.#child.stdin?.end()
  }

  /** Resolves with its exit code. */
  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) await once(this.#child, 'exit')
    return this.#child.exitCode
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.ended()
  }

  #hear(line: string): void {
    this.heard.push(parseJson(line) as Said)
  }
}
