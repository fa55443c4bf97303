import { Fork, HostFailure, isHostFailure, Spent, type Step } from '#sequence/step'
import type { Effect, EffectOutcome, EffectRequest } from './effects.ts'
import { CELL_STRIDE, signBase, signId } from './sign-ids.ts'

export interface ExecutionOptions {
  readonly flowIndex: string
  /** Which execution of this flow index in the run, from 1; it never goes back, so effect keys stay unique. */
  readonly execution: number
  readonly seed: string
  /** Run the children of a fork one after another instead of asking for all their effects at once. */
  readonly ordered: boolean
  /** What may still be done before the host gets its turn; every execution of the run draws on the same. */
  readonly budget?: Budget | undefined
}

/** Units of work that are left, see `Spent`. */
export interface Budget {
  left: number
}

/** Effects that one execution asks for at the same time, and their texts together; further cells start as these end. */
const MOST_ASKED = 1000
const MOST_ASKED_TEXT = 64 * 1024 * 1024

/** One generator of a step, with what is needed to name its effects and signs. */
interface Strand {
  readonly work: Step<unknown>
  readonly path: string
  readonly signBase: number
  readonly parent: OpenFork | null
  readonly place: number
  calls: number
  forks: number
  signs: number
}

interface OpenFork {
  readonly fork: Fork
  readonly owner: Strand
  readonly prefix: string
  next: number
  open: number
  pumping: boolean
  closed: boolean
  failure: Failure | null
}

interface Failure {
  readonly cause: unknown
}

/** How an execution of a step ended. */
export type ExecutionEnd<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly cause: unknown }

const NOTHING: EffectOutcome = { ok: true, value: null }

/** Drives the generators of one execution of a step: hands out effect requests, takes outcomes, knows when it ended. */
export class StepExecution<T> {
  readonly options: ExecutionOptions
  end: ExecutionEnd<T> | null = null
  readonly #prefix: string
  readonly #waiting = new Map<string, { readonly strand: Strand; readonly text: number }>()
  /** Strands that stopped in the middle of their work because the budget was used up. */
  #paused: Strand[] = []
  /** Forks that have children left which may not start yet. */
  readonly #held = new Set<OpenFork>()
  #askedText = 0
  #requests: EffectRequest[] = []
  #current: Strand | null = null

  constructor(options: ExecutionOptions) {
    this.options = options
    this.#prefix = `${options.flowIndex}#${options.execution}/`
  }

  start(work: Step<T>): void {
    const { seed, flowIndex, execution } = this.options
    const root: Strand = {
      work,
      path: '',
      signBase: signBase(seed, flowIndex, execution),
      parent: null,
      place: 0,
      calls: 0,
      forks: 0,
      signs: 0,
    }
    this.#resume(root, NOTHING)
  }

  /** Takes the outcome of an effect. False when this execution does not wait for that key. */
  resolve(key: string, outcome: EffectOutcome): boolean {
    const asked = this.#waiting.get(key)
    if (asked === undefined) return false
    this.#waiting.delete(key)
    this.#askedText -= asked.text
    if (isHostFailure(outcome)) this.#resume(asked.strand, NOTHING, { cause: new HostFailure(outcome.error) })
    else this.#resume(asked.strand, outcome)
    this.#startHeld()
    return true
  }

  get isPaused(): boolean {
    return this.#paused.length > 0 && this.end === null
  }

  /** Goes on with what the budget interrupted; it may be interrupted again. */
  goOn(): void {
    const paused = this.#paused
    this.#paused = []
    for (const strand of paused) {
      if (this.end === null) this.#resume(strand, NOTHING)
    }
    this.#startHeld()
  }

  /** The effects that were asked for since the last call. */
  takeRequests(): readonly EffectRequest[] {
    const requests = this.#requests
    if (requests.length > 0) this.#requests = []
    return requests
  }

  // What was held back starts in the order in which it would have started without the interruption.
  #startHeld(): void {
    for (const opened of this.#held) {
      if (this.end !== null || this.#isFull()) return
      this.#held.delete(opened)
      if (!opened.closed && this.#pump(opened)) this.#leave(opened)
    }
  }

  #isSpentBy(units: number): boolean {
    const { budget } = this.options
    if (budget === undefined) return false
    budget.left -= units
    return budget.left <= 0
  }

  #isFull(): boolean {
    return this.#paused.length > 0 || this.#waiting.size >= MOST_ASKED || this.#askedText >= MOST_ASKED_TEXT
  }

  get waitsFor(): Iterable<string> {
    return this.#waiting.keys()
  }

  /** A fresh id for a sign that the generator which runs at this moment makes. */
  readonly nextSignId = (): string => {
    const strand = this.#current
    if (strand === null) throw new Error('A sign id was asked for outside of a running step.')
    return signId(strand.signBase, strand.signs++)
  }

  #resume(strand: Strand, outcome: EffectOutcome, failed: Failure | null = null): void {
    let reply = outcome
    let failure = failed
    for (;;) {
      this.#current = strand
      let turn
      try {
        turn = failure === null ? strand.work.next(reply) : strand.work.throw(failure.cause)
      } catch (cause) {
        this.#finish(strand, { ok: false, cause })
        return
      }
      if (turn.done === true) {
        this.#finish(strand, { ok: true, value: turn.value })
        return
      }
      const request = turn.value
      if (request instanceof Spent) {
        failure = null
        reply = NOTHING
        if (!this.#isSpentBy(request.units)) continue
        this.#paused.push(strand)
        return
      }
      if (!(request instanceof Fork)) {
        this.#ask(strand, request)
        return
      }
      const opened = openFork(request, strand)
      if (!this.#pump(opened)) return
      opened.closed = true
      failure = opened.failure
      reply = NOTHING
    }
  }

  #ask(strand: Strand, effect: Effect): void {
    const key = `${this.#prefix}${strand.path}${strand.calls++}`
    const text = effect.type === 'model.generate' ? effect.prompt.length : 0
    this.#askedText += text
    this.#waiting.set(key, { strand, text })
    this.#requests.push({ key, flowIndex: this.options.flowIndex, effect })
  }

  /** Starts the children that may start now. True when the fork has all its results, or failed. */
  #pump(opened: OpenFork): boolean {
    const { fork, owner } = opened
    opened.pumping = true
    while (opened.next < fork.children.length && opened.failure === null) {
      if (this.options.ordered && opened.open > 0) break
      if (opened.open > 0 && this.#isFull()) {
        this.#held.add(opened)
        break
      }
      const place = opened.next++
      opened.open++
      this.#resume(childStrand(opened, owner, place), NOTHING)
    }
    opened.pumping = false
    return opened.failure !== null || (opened.open === 0 && opened.next >= fork.children.length)
  }

  #finish(strand: Strand, end: ExecutionEnd<unknown>): void {
    const { parent } = strand
    if (parent === null) {
      this.end = end as ExecutionEnd<T>
      this.#waiting.clear()
      return
    }
    parent.open--
    if (end.ok) parent.fork.results[strand.place] = end.value
    else parent.failure ??= { cause: end.cause }
    if (!parent.pumping && !parent.closed && this.#pump(parent)) this.#leave(parent)
  }

  #leave(opened: OpenFork): void {
    opened.closed = true
    this.#held.delete(opened)
    this.#resume(opened.owner, NOTHING, opened.failure)
  }
}

function openFork(fork: Fork, owner: Strand): OpenFork {
  const prefix = `${owner.path}${owner.forks++}.`
  return { fork, owner, prefix, next: 0, open: 0, pumping: false, closed: false, failure: null }
}

function childStrand(opened: OpenFork, owner: Strand, place: number): Strand {
  const work = opened.fork.children[place]
  if (work === undefined) throw new Error('A fork has no child at this place.')
  return {
    work,
    path: `${opened.prefix}${place}/`,
    signBase: owner.signBase + (owner.forks * 7 + place + 1) * CELL_STRIDE,
    parent: opened,
    place,
    calls: 0,
    forks: 0,
    signs: 0,
  }
}
