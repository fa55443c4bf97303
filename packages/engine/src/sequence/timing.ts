import { parentIndex } from '#plan/flow-index'
import type { Item, TimingSettings } from '#run/program'
import type { RunState } from '#run/state'
import { PyError } from '#value/value'
import type { FilterInjection, PreparedSequence, StepContext, StepResult } from './result.ts'

export type TimingVerdict = 'go' | 'skip' | 'wait'

export const timingSequence: PreparedSequence = { lanes: [], start: runTiming }

/** Lets the step that it guards run, skips it, or stays pending while its condition is not decided. */
function runTiming(context: StepContext): StepResult {
  const { item, state } = context
  if (item.timing === null) {
    throw new PyError('ValueError', 'A timing step needs a marker (if, if! or after) and the name of its condition.')
  }
  const verdict = timingVerdict(state, item.timing)
  if (verdict === 'wait') return { status: 'pending' }
  return { status: 'completed', timing: { verdict, filter: verdict === 'go' ? filterOf(context, item.timing) : null } }
}

/**
 * `after` goes as soon as the condition is complete. `if` goes when the step that made it ended well and skips when its
 * condition was not met, `if!` the other way round; any other ending decides nothing.
 */
export function timingVerdict(state: RunState, timing: TimingSettings): TimingVerdict {
  if (state.conceptStatuses[timing.concept] !== 'complete') return 'wait'
  if (timing.marker === 'after') return 'go'
  const detail = state.producerDetail(timing.concept)
  if (detail === 'skipped') return 'wait'
  const met = detail !== 'condition_not_met'
  return met === (timing.marker === 'if') ? 'go' : 'skip'
}

export function isDecided(state: RunState, item: Item): boolean {
  return item.timing === null || timingVerdict(state, item.timing) !== 'wait'
}

function filterOf(context: StepContext, timing: TimingSettings): FilterInjection | null {
  const { item, state, program } = context
  const mask = state.truthMasks.get(timing.concept)
  if (mask === undefined || timing.marker === 'after') return null
  if (program.behaviour.filterInjection === 'when-workspace' && !state.usesWorkspace(item)) return null
  return {
    flowIndex: parentIndex(item.flowIndex),
    filter: { mask, condition: timing.condition, source: item.flowIndex },
  }
}
