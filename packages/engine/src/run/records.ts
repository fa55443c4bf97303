import type { Reference } from '#reference/reference'
import type { StepError } from '#sequence/step'

export type ConceptStatus = 'empty' | 'pending' | 'complete'
export type ItemStatus = 'pending' | 'in_progress' | 'completed' | 'failed'
export type Detail = 'success' | 'condition_not_met' | 'skipped'

/** The mask of a judgement over an axis: which elements met the condition. */
export interface TruthMask {
  readonly tensor: Reference
  readonly filterAxis: string
}

/** What one step wrote. A concept whose `reference` is absent kept its own; `null` means that it was cleared. */
export interface ConceptChange {
  readonly name: string
  readonly reference?: Reference | null
  readonly status?: ConceptStatus
}

/** An item whose status changed although it did not execute: skipped by a timing step, or reset by a loop. */
export interface ItemChange {
  readonly flowIndex: string
  readonly status: ItemStatus
  readonly reason: 'skipped' | 'reset'
}

/** One finished execution of a step: enough to show it and to follow the state of the run. */
export interface StepRecord {
  /** Number of the execution in the run, from 1. */
  readonly n: number
  readonly cycle: number
  readonly flowIndex: string
  /** Number of the execution of this flow index, from 1. */
  readonly execution: number
  readonly sequence: string
  readonly concept: string
  readonly status: 'completed' | 'pending' | 'failed'
  readonly detail: Detail | null
  readonly changes: readonly ConceptChange[]
  readonly items: readonly ItemChange[]
  readonly truthMask: TruthMask | null
  /** Completed, but every cell of its result ended in an error: the run cannot complete any more. */
  readonly hollow: boolean
  readonly errors: readonly StepError[]
}

/** Counters of a run, and the order in which its steps completed. */
export interface Tracker {
  readonly completionOrder: readonly string[]
  readonly cycleCount: number
  readonly totalExecutions: number
  readonly successfulExecutions: number
  readonly skippedExecutions: number
  readonly failedExecutions: number
  readonly retryCount: number
}

export type StuckReason =
  | { readonly type: 'failed'; readonly message: string }
  | { readonly type: 'waits_for_steps'; readonly flowIndexes: readonly string[] }
  | { readonly type: 'waits_for_concepts'; readonly concepts: readonly string[] }
  | { readonly type: 'condition_undecided'; readonly concept: string }
  | { readonly type: 'unfinished' }

export interface StuckStep {
  readonly flowIndex: string
  readonly why: StuckReason
}

export type EndReason = 'step_failed' | 'deadlock' | 'max_cycles' | 'cancelled'

export type RunEnd =
  | { readonly status: 'completed'; readonly reason: null; readonly stuck: readonly [] }
  | {
      readonly status: 'failed'
      readonly reason: EndReason
      readonly message: string
      readonly stuck: readonly StuckStep[]
    }

/** What happened, as the people and programs that watch a run are told. The host adds run ids and times. */
export type EngineEvent =
  | { readonly type: 'cycle:started'; readonly cycle: number }
  | { readonly type: 'cycle:completed'; readonly cycle: number; readonly progressMade: boolean }
  | {
      readonly type: 'inference:started'
      readonly flowIndex: string
      readonly execution: number
      readonly conceptName: string
      readonly sequence: string
    }
  | {
      readonly type: 'inference:completed'
      readonly flowIndex: string
      readonly execution: number
      readonly detail: Detail | null
      readonly errors: readonly StepError[]
      readonly isLoop: boolean
      readonly totalIterations: number | null
    }
  | {
      readonly type: 'inference:pending'
      readonly flowIndex: string
      readonly execution: number
      readonly reason: 'loop_iteration' | 'not_ready'
      readonly iteration: number | null
    }
  | {
      readonly type: 'inference:failed'
      readonly flowIndex: string
      readonly execution: number
      readonly error: StepError
    }
  | { readonly type: 'inference:skipped'; readonly flowIndex: string; readonly by: string }
  /** An error that the step went on with: a cell that became a skip. */
  | {
      readonly type: 'inference:error'
      readonly flowIndex: string
      readonly execution: number
      readonly error: StepError
    }
  | { readonly type: 'loop:progress'; readonly flowIndex: string; readonly stored: number; readonly total: number }
  | {
      readonly type: 'execution:progress'
      readonly completedCount: number
      readonly totalCount: number
      readonly cycleCount: number
      readonly currentInference: string
    }
