import type { Effect, EffectOutcome } from '#run/effects'
import { PyError, type Value } from '#value/value'

/**
 * Work of one step: a generator that yields what it needs from outside and is resumed with the outcome. It never waits
 * and never touches the world, so running it again with the same outcomes gives the same result.
 */
export type Step<T> = Generator<Effect | Fork, T, EffectOutcome>

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
