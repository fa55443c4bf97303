import type { Reference } from '#reference/reference'
import type { StepError } from '#sequence/step'
import type { CommandSummary } from './commands.ts'
import type { GateState } from './gate.ts'
import type { Modification } from './modify.ts'
import type { SchedulerState } from './scheduler-state.ts'
import type { Snapshot } from './snapshot.ts'
import type { LoopIteration, PendingFilter } from './state.ts'

export type ConceptStatus = 'empty' | 'pending' | 'complete'
export type ItemStatus = 'pending' | 'in_progress' | 'completed' | 'failed'
export type Detail = 'success' | 'condition_not_met' | 'skipped'

/** The mask of a judgement over an axis: which elements met the condition. */
export interface TruthMask {
  readonly tensor: Reference
  readonly filterAxis: string
}

/**
 * What was written to one concept. Without `reference` and `grown` the concept kept its own; a `reference` of null means
 * that it was cleared.
 */
export interface ConceptChange {
  readonly name: string
  readonly reference?: Reference | null
  readonly grown?: Growth
  readonly status?: ConceptStatus
}

/** A value that kept its first elements and got others at its end, as collections of loops do. */
export interface Growth {
  /** How many elements along the first axis are those of the value before. */
  readonly kept: number
  /** The elements behind them, on all axes of the value. */
  readonly added: Reference
}

/** An item whose status changed although it did not execute. */
export interface ItemChange {
  readonly flowIndex: string
  readonly status: ItemStatus
  /**
   * `skipped` by a timing step, `reset` by a loop, `rerun` because a command resets it, `overridden` because a command
   * gave the value that it would infer.
   */
  readonly reason: 'skipped' | 'reset' | 'rerun' | 'overridden'
  /** How an overridden step counts as ended; absent for the others. */
  readonly detail?: Detail
  /** Whether a loop around it goes on with the iterations that it has. */
  readonly inLoop?: true
}

/** What a loop keeps now: its first `kept` iterations and these. */
export interface LoopChange {
  readonly key: string
  readonly kept: number
  readonly added: readonly LoopIteration[]
}

export interface FilterChange {
  readonly flowIndex: string
  /** How many of the filters that waited for the step, from the first, are gone. */
  readonly taken: number
  readonly added: readonly PendingFilter[]
}

/** One finished execution of a step, complete: with the records before it, it gives the state of the run after it. */
export interface StepRecord {
  readonly kind: 'step'
  /** Number of the record in the run, from 1. */
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
  /** Keys of loops that forgot their iterations, before what is in `loops` was kept. */
  readonly clearedLoops: readonly string[]
  readonly loops: readonly LoopChange[]
  readonly filters: readonly FilterChange[]
  /** Steps that since the last record missed a turn that they would have had in sequential mode. */
  readonly late: readonly string[]
  readonly truthMask: TruthMask | null
  /** Completed, but every cell of its result ended in an error: the run cannot complete any more. */
  readonly hollow: boolean
  readonly errors: readonly StepError[]
}

/** One command that was applied, with all that it changed. */
export interface CommandRecord {
  readonly kind: 'command'
  readonly n: number
  readonly cycle: number
  readonly command: CommandSummary
  readonly changes: readonly ConceptChange[]
  /** Concepts whose value is from now on what the run was given. */
  readonly given: readonly string[]
  readonly items: readonly ItemChange[]
  /** Keys of loops that forgot their iterations, before what is in `loops` was kept. */
  readonly clearedLoops: readonly string[]
  readonly loops: readonly LoopChange[]
  readonly filters: readonly FilterChange[]
  readonly truthMasks: readonly { readonly concept: string; readonly mask: TruthMask | null }[]
  readonly late: readonly string[]
  /** Executions that were under way and were given up; their outcomes are not taken any more. */
  readonly givenUp: readonly { readonly flowIndex: string; readonly execution: number }[]
  /** The cycle from which the allowed number of cycles is counted now. */
  readonly cyclesFrom: number
  readonly gate: GateState
  readonly scheduler: SchedulerState
  readonly modification: Modification | null
  /** The earlier moment that a `restore` went back to; everything else of the record is as after it. */
  readonly snapshot: Snapshot | null
}

export type RunRecord = StepRecord | CommandRecord

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
  /** A step was about to start at which the run is to hold. */
  | { readonly type: 'breakpoint:hit'; readonly flowIndex: string; readonly execution: number }
  | { readonly type: 'breakpoint:set'; readonly flowIndex: string }
  | { readonly type: 'breakpoint:cleared'; readonly flowIndex: string }
  | { readonly type: 'breakpoints:cleared_all' }
  | { readonly type: 'execution:stepping' }
  | { readonly type: 'execution:run_to'; readonly flowIndex: string }
  | { readonly type: 'value:overridden'; readonly conceptName: string; readonly rerunDependents: boolean }
  | {
      readonly type: 'function:modified'
      readonly flowIndex: string
      readonly keys: readonly string[]
      readonly hasPrompt: boolean
    }
  /** Steps that are pending again because a command resets them, in flow order. */
  | { readonly type: 'execution:partial_reset'; readonly flowIndexes: readonly string[] }
  /** The run went back to the state that it had after this record; 0 is its beginning. */
  | { readonly type: 'execution:restored'; readonly record: number }
