import type { Effect, EffectError, EffectOutcome } from '#run/effects'
import { PyError, type Value } from '#value/value'

/**
 * Work of one step: a generator that yields what it needs from outside and is resumed with the outcome. It never waits
 * and never touches the world, so running it again with the same outcomes gives the same result.
 */
export type Step<T> = Generator<Effect | Fork | Spent, T, EffectOutcome>

/** Independent work of one step. Its results stand in `results` when the step is resumed. */
export class Fork {
  readonly type = 'fork'
  readonly children: readonly Step<unknown>[]
  readonly results: unknown[]

  constructor(children: readonly Step<unknown>[]) {
    this.children = children
    this.results = new Array<unknown>(children.length)
  }
}

/** Work that was done inside of a step, in units of about a microsecond, so that a long step can be interrupted here. */
export class Spent {
  readonly type = 'spent'
  readonly units: number

  constructor(units: number) {
    this.units = units
  }
}

/**
 * Runs independent generators and gives their results in order. The host decides whether their effects go out together
 * (parallel mode) or one after another; an exception of a child ends the whole.
 */
export function* all<T>(children: readonly Step<T>[]): Step<T[]> {
  const [only] = children
  if (only === undefined) return []
  if (children.length === 1) return [yield* only]
  const fork = new Fork(children)
  yield fork
  return fork.results as T[]
}

/** An exception of a cell or of a whole step, with the Python name that a plan's author knows it by. */
export interface StepError {
  /** Where in the step: `functions[0]`, `cells[1][0]`, or empty for the step itself. */
  readonly path: string
  readonly name: string
  readonly message: string
}

/**
 * The outside could not do what was asked: no model answered, the sandbox broke down. Unlike an exception that the
 * plan's Python would have seen, it never becomes a value or a skip; it ends the step.
 */
export class HostFailure extends Error {
  override readonly name: string

  constructor(error: EffectError) {
    super(error.message)
    this.name = error.name
  }
}

/** Whether an outcome is a failure of the host; its codes have a dot, which names of Python exceptions have not. */
export function isHostFailure(outcome: EffectOutcome): outcome is Extract<EffectOutcome, { readonly ok: false }> {
  return !outcome.ok && outcome.error.name.includes('.')
}

/** Name and message of anything that was thrown. */
export function describeError(cause: unknown): { readonly name: string; readonly message: string } {
  if (cause instanceof Error) return { name: cause.name, message: cause.message }
  return { name: 'Error', message: String(cause) }
}

/** Asks for an effect and gives its value; an error that came back is thrown. */
export function* perform(effect: Effect): Step<Value> {
  const outcome = yield effect
  if (outcome.ok) return outcome.value
  throw new PyError(outcome.error.name, outcome.error.message)
}
