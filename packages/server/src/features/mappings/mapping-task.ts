import type { ErrorCode } from '@slipway/protocol/errors'

/** What the threads that evaluate expressions are told, and what they answer. */

/** What one evaluation may use. */
export interface MappingLimits {
  readonly timeMs: number
  /** Calls inside calls. */
  readonly depth: number
  /** Items of a list that the expression makes. */
  readonly items: number
  /** Of the result as JSON. */
  readonly bytes: number
}

/** What is made of one input: `map` of it, where `when` is true. */
export interface MappingStep {
  readonly when?: string | undefined
  readonly map?: string | undefined
}

export interface MappingInput {
  /** JSON. */
  readonly input: Uint8Array
  /** What an input that is no JSON is: a text, nothing, or refused. */
  readonly notJson: 'text' | 'nothing' | 'refused'
  /** What expressions have by name; bytes are JSON too, or nothing where they are none. */
  readonly names?: Readonly<Record<string, unknown>>
}

export type MappingTask =
  | { readonly type: 'check'; readonly texts: readonly string[] }
  | (MappingInput & {
      readonly type: 'evaluate'
      readonly limits: MappingLimits
      readonly steps: readonly MappingStep[]
    })

/** Of one step: JSON, or null where it has no `map`. */
export type StepAnswer =
  | { readonly type: 'made'; readonly json: Uint8Array | null }
  | { readonly type: 'held_back' }
  | { readonly type: 'failed'; readonly code: ErrorCode; readonly message: string }

export type MappingAnswer =
  /** What is wrong with each of the texts; null where nothing is. */
  | { readonly type: 'checked'; readonly problems: readonly (string | null)[] }
  /** Of the first steps at least one; there was no time for others. */
  | { readonly type: 'evaluated'; readonly answers: readonly StepAnswer[] }
