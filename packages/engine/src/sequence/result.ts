import type { Reference } from '#reference/reference'
import type { Item, Program } from '#run/program'
import type { TruthMask } from '#run/records'
import type { LoopIteration, PendingFilter, RunState } from '#run/state'
import { describeError, HostFailure, type Step, type StepError } from './step.ts'

/** What an execution of a step leads to. Nothing of it is written before the step has ended. */
export interface StepResult {
  readonly status: 'completed' | 'pending'
  /** Set by judgements; other steps keep what they have and are `success` when they have nothing. */
  readonly detail?: 'success' | 'condition_not_met'
  /** The value of the concept to infer. Absent: the concept keeps its value and its status. */
  readonly output?: Reference
  readonly truthMask?: TruthMask
  readonly timing?: { readonly verdict: 'go' | 'skip'; readonly filter: FilterInjection | null }
  readonly loop?: LoopProgress
}

/** The elements that a judgement chose, for the step that its timing step guards. */
export interface FilterInjection {
  readonly flowIndex: string
  readonly filter: PendingFilter
}

export interface LoopProgress {
  readonly key: string
  readonly iterations: readonly LoopIteration[]
  readonly total: number
  /** The current element and the carried values, by number of the concept. */
  readonly context: readonly (readonly [number, Reference])[]
}

/** What a sequence may read of the run while it works. */
export interface StepContext {
  readonly program: Program
  readonly item: Item
  readonly state: RunState
  /** A concept's value as this step sees it: with the filters that were injected for it. */
  readonly reference: (concept: number) => Reference | null
  readonly nextSignId: () => string
  readonly errors: StepError[]
  readonly origins: Map<string, string>
}

/** Errors of cells that one step keeps, and characters of a message; more of either tells nobody more. */
const MOST_ERRORS = 1000
const LONGEST_MESSAGE = 4_000

/** Keeps an error that the step goes on with; a failure of the host is none of these and is thrown on. */
export function report(context: StepContext, path: string, cause: unknown): void {
  if (cause instanceof HostFailure) throw cause
  if (context.errors.length >= MOST_ERRORS) return
  const { name, message } = describeError(cause)
  const cut = message.length > LONGEST_MESSAGE ? `${message.slice(0, LONGEST_MESSAGE)} …` : message
  context.errors.push({ path, name, message: cut })
}

/** Which steps may not overlap with each other: those that touch files or scripts, and those that talk to people. */
export type Lane = 'files' | 'people'

/** A step whose settings have been read once. */
export interface PreparedSequence {
  readonly lanes: readonly Lane[]
  readonly start: (context: StepContext) => StepResult | Step<StepResult>
}
