import { sleep } from '@slipway/kit/abort'
import { unreachable } from '@slipway/kit/unreachable'
import type { Trace } from '@slipway/protocol/bus/envelope'
import { topicKind } from '@slipway/protocol/bus/topics'
import { usualHops, type CircuitDocument, type CircuitEdge } from '@slipway/protocol/circuits'
import { AppError } from '@slipway/protocol/errors'
import type { Database } from '#db/database'
import type { Made, Mappings } from '#features/mappings/mappings'
import type { Spine } from '#features/spine/spine'
import type { Logger } from '#observe/log'
import { circuitFailed } from '#observe/circuits-log'
import { lockCircuit, writeProgress, type CircuitKey, type CircuitRow } from './circuit-store.ts'

export interface RunnerDeps {
  readonly db: Database
  readonly spine: Spine
  readonly mappings: Mappings
  readonly log: Logger
}

/** A message, as far as a circuit minds. */
interface Incoming {
  readonly id: string
  readonly seq: number
  readonly topic: string
  readonly schema: string
  readonly payload: Uint8Array
  readonly trace?: Trace | undefined
}

interface HandOver {
  readonly topic: string
  readonly schema: string
  readonly payload: Uint8Array
  readonly trace: Trace
}

type Outcome =
  | { readonly type: 'over'; readonly handOver: HandOver }
  | { readonly type: 'held_back' }
  | { readonly type: 'failed'; readonly problem: string }
  | { readonly type: 'cut'; readonly problem: string }

const waitMs = 500
/** How often a message is tried whose expressions take too long: a server with too much to do is slow too. */
const mostTries = 3
/** Names of a trace that a circuit sets, and how many there may be in all. */
const traceEntries = 16

/** Hands on the messages of one version of a circuit, one after the other in the order of their numbers. */
export class CircuitRunner implements AsyncDisposable {
  readonly version: number
  readonly #key: CircuitKey
  readonly #document: CircuitDocument
  readonly #deps: RunnerDeps
  readonly #stop = new AbortController()
  readonly #work: Promise<void>
  #seq: number
  /** How often the message behind `#seq` was tried. */
  #tries = 0

  constructor(row: CircuitRow, document: CircuitDocument, deps: RunnerDeps) {
    this.version = row.version
    this.#key = row
    this.#document = document
    this.#deps = deps
    this.#seq = row.seq ?? 0
    this.#work = this.#run()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort(new AppError('cancelled', 'The circuit rests.'))
    await this.#work
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await this.#follow()
      } catch (error) {
        if (signal.aborted) return
        const { organisation, name } = this.#key
        if (!(error instanceof AppError && error.retryable))
          circuitFailed(this.#deps.log, { organisation, circuit: name, error })
      }
      await sleep(waitMs, signal).catch(() => undefined)
    }
  }

  async #follow(): Promise<void> {
    const topics = [...new Set(this.#document.edges.map(({ from }) => from))]
    const { organisation } = this.#key
    const { signal } = this.#stop
    for await (const delivery of this.#deps.spine.messages.follow({ organisation, topics, after: this.#seq, signal })) {
      if (delivery.type === 'cut') return
      if (!(await this.#handle(delivery.message))) return
      this.#seq = delivery.message.seq
      this.#tries = 0
    }
  }

  /** False where this version is not to hand on any more. */
  async #handle(message: Incoming): Promise<boolean> {
    const outcomes = await this.#outcomesOf(message)
    try {
      return await this.#commit(message, outcomes)
    } catch (error) {
      // What waits for room is tried again; what is refused for good is let go, and the others are handed on.
      if (!(error instanceof AppError) || error.retryable) throw error
      return this.#commitOneByOne(message, outcomes)
    }
  }

  async #commitOneByOne(message: Incoming, outcomes: readonly Outcome[]): Promise<boolean> {
    const checked = await Promise.all(
      outcomes.map(async (outcome): Promise<Outcome> => {
        if (outcome.type !== 'over') return outcome
        const problem = await this.#refusalOf(outcome.handOver)
        return problem === null ? outcome : { type: 'failed', problem }
      }),
    )
    return this.#commit(message, checked)
  }

  /** Tries it in a transaction that is given up. */
  async #refusalOf(handOver: HandOver): Promise<string | null> {
    const undo = new Error('It is taken.')
    try {
      await this.#deps.db.transaction(async tx => {
        await this.#publish(tx, handOver)
        throw undo
      })
    } catch (error) {
      if (error === undo) return null
      if (!(error instanceof AppError) || error.retryable) throw error
      return error.message
    }
    return null
  }

  async #commit(message: Incoming, outcomes: readonly Outcome[]): Promise<boolean> {
    return this.#deps.db.transaction(async tx => {
      const row = await lockCircuit(tx, this.#key)
      if (row?.version !== this.version || row.state !== 'enabled') return false
      // Another server was faster.
      if ((row.seq ?? 0) >= message.seq) return true
      for (const outcome of outcomes) if (outcome.type === 'over') await this.#publish(tx, outcome.handOver)
      const count = (type: Outcome['type']): number => outcomes.filter(outcome => outcome.type === type).length
      const problem = outcomes
        .map(outcome => ('problem' in outcome ? outcome.problem : null))
        .find(text => text !== null)
      await writeProgress(tx, this.#key, {
        seq: message.seq,
        handedOn: count('over'),
        heldBack: count('held_back'),
        failed: count('failed'),
        cut: count('cut'),
        problem: problem ?? null,
      })
      return true
    })
  }

  async #publish(tx: Parameters<Parameters<Database['transaction']>[0]>[0], handOver: HandOver): Promise<void> {
    const { spine } = this.#deps
    const { organisation } = this.#key
    if (topicKind(handOver.topic) === 'jobs') await spine.jobs.publishIn(tx, organisation, [handOver])
    else await spine.messages.publishIn(tx, organisation, [{ ...handOver, type: 'event' }])
  }

  async #outcomesOf(message: Incoming): Promise<Outcome[]> {
    const edges = this.#document.edges.filter(({ from }) => from === message.topic)
    const most = this.#document.max_hops ?? usualHops
    const hops = hopsOf(message.trace) + 1
    if (hops > most)
      return edges.map(() => ({ type: 'cut', problem: `${message.topic}: a message made more than ${most} hops.` }))
    const trace = this.#traceOf(message, hops)
    const made = await this.#madeOf(edges, message)
    this.#tries += 1
    const late = made.find(one => one.type === 'failed' && one.error.retryable)
    if (late?.type === 'failed' && this.#tries < mostTries) throw late.error
    return edges.map((edge, index) => outcomeOf(edge, made[index] ?? untouched, { message, trace }))
  }

  /** Of one message at once what all its edges make of it. */
  async #madeOf(edges: readonly CircuitEdge[], { id, seq, topic, schema, payload }: Incoming): Promise<Made[]> {
    const steps = edges.filter(hasWork)
    if (steps.length === 0) return []
    const names = { message: { id, seq, topic, schema } }
    const given = { input: payload, notJson: 'refused', names } as const
    const made = await this.#deps.mappings.evaluateAll(this.#key.organisation, steps, given)
    return edges.map(edge => (hasWork(edge) ? made.shift() : undefined) ?? untouched)
  }

  #traceOf({ id, trace = {} }: Incoming, hops: number): Trace {
    const own = { hops: String(hops), circuit: this.#key.name, parent_id: id }
    const others = Object.entries(trace).filter(([name]) => !Object.hasOwn(own, name))
    return { ...Object.fromEntries(others.slice(0, traceEntries - Object.keys(own).length)), ...own }
  }
}

/** What a client claims may only make it less. */
function hopsOf(trace: Trace | undefined): number {
  const hops = trace?.['hops'] ?? ''
  return /^\d{1,6}$/.test(hops) ? Number(hops) : 0
}

const untouched: Made = { type: 'made', json: null }

function hasWork({ when, map }: CircuitEdge): boolean {
  return when !== undefined || map !== undefined
}

function outcomeOf(
  { to, schema }: CircuitEdge,
  made: Made,
  { message, trace }: { readonly message: Incoming; readonly trace: Trace },
): Outcome {
  switch (made.type) {
    case 'held_back':
      return made
    case 'failed':
      return { type: 'failed', problem: `${message.topic} to ${to}: ${made.error.message}` }
    case 'made': {
      const payload = made.json ?? message.payload
      return { type: 'over', handOver: { topic: to, schema: schema ?? message.schema, payload, trace } }
    }
    default:
      return unreachable(made)
  }
}
