import type { Held, Run } from '@slipway/protocol/runs'
import { oneLine } from './text.ts'

/** Why a run stands where it does, without a full stop. */
export function heldText({ by, flow_index: at }: { readonly by: string; readonly flow_index: string }): string {
  const place = oneLine(at)
  switch (by) {
    case 'breakpoint':
      return `Held at the breakpoint of step ${place}`
    case 'run_to':
      return `Held behind step ${place}`
    default:
      return `Held before step ${place}`
  }
}

/** What can be done with a paused run. */
export function waysOn({ run_id: id, held }: { readonly run_id: string; readonly held: Held | null }): string[] {
  return [
    `  slipway step ${id}       execute one step`,
    `  slipway resume ${id}     go on${held === null ? '' : ' from here'}`,
    `  slipway inspect ${id}    look at its values`,
  ]
}

/** One line on a run that is not over: where it rests, or that it goes on. */
export function restLine(run: Run): string {
  switch (run.status) {
    case 'paused':
      return run.held === null ? `${run.run_id} is paused.` : `${run.run_id} is paused. ${heldText(run.held)}.`
    case 'waiting':
      return `${run.run_id} waits for people. Their questions: slipway inputs ${run.run_id}`
    case 'pending':
      return `${run.run_id} waits in the queue${run.queue_position === null ? '' : `, place ${run.queue_position}`}.`
    default:
      return `${run.run_id} is ${run.status}.`
  }
}
