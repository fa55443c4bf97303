import type { EffectRequest } from '@slipway/engine/run/effects'

/** What decides when a call may be made. */
export type CallKind =
  /** It only reads: nothing of it leaves the server. */
  | 'read'
  /** It begins with a question to a person, who must not keep the calls of other steps waiting. */
  | 'patient'
  | 'work'

/** Calls that wait to be made, each kind in its order. Taking some costs what is taken, however many wait. */
export class WaitingCalls {
  readonly #kindOf: (request: EffectRequest) => CallKind
  readonly #queues: Record<CallKind, EffectRequest[]> = { read: [], patient: [], work: [] }

  constructor(kindOf: (request: EffectRequest) => CallKind) {
    this.#kindOf = kindOf
  }

  get isEmpty(): boolean {
    return Object.values(this.#queues).every(queue => queue.length === 0)
  }

  add(request: EffectRequest): void {
    this.#queues[this.#kindOf(request)].push(request)
  }

  /** Up to `most` of a kind. */
  take(kind: CallKind, most: number): EffectRequest[] {
    return this.#queues[kind].splice(0, Math.max(0, most))
  }

  keep(isWanted: (request: EffectRequest) => boolean): void {
    for (const [kind, queue] of Object.entries(this.#queues) as [CallKind, EffectRequest[]][])
      this.#queues[kind] = queue.filter(isWanted)
  }
}
