import type { RunEvent } from '@slipway/protocol/events'
import { errorText, fields } from './event-fields.ts'
import { heldText } from './held.ts'
import { answersWanted, stalledSentence } from './notices.ts'
import { countSteps, type ProgressView } from './progress.ts'
import { duration, oneLine } from './text.ts'

/** One line for an event where the display cannot be redrawn; null for events that would only be noise. */
export function progressLine(event: RunEvent, view: ProgressView): string | null {
  const { number, text } = fields(event)
  switch (event.event) {
    case 'run:queued':
      return `${view.runId} waits${view.queuePosition === null ? '' : `, place ${view.queuePosition} in the queue`}`
    case 'run:started':
      return `${view.runId} started: ${oneLine(view.planId)}, ${view.total} steps`
    case 'run:forked':
      return `${view.runId} is a fork of ${oneLine(text('from_run_id') ?? '')} at step ${number('step') ?? 0}`
    case 'run:recovered':
      return `${view.runId} goes on after a restart of the server${repeatedNow(event)}`
    case 'run:completed':
      return `${view.runId} completed${elapsed(view)}`
    case 'run:failed':
      return `${view.runId} failed${elapsed(view)}`
    default:
      return steeringLine(event, view) ?? stepLineOf(event, view)
  }
}

function steeringLine(event: RunEvent, view: ProgressView): string | null {
  const { number, text, texts } = fields(event)
  switch (event.event) {
    case 'execution:paused':
      return `${view.runId} is paused${view.held === null ? '' : `: ${heldText({ by: view.held.by, flow_index: view.held.flowIndex })}`}`
    case 'execution:waiting':
      return `${view.runId}: ${answersWanted(view.questions)}`
    case 'execution:stalled':
      return `${view.runId}: ${stalledSentence(view.stalledOn)}`
    case 'execution:resumed':
      return `${view.runId} goes on`
    case 'execution:partial_reset':
      return `${view.runId}: ${texts('flow_indexes').length} steps are done again`
    case 'execution:restored':
      return `${view.runId} is back at step ${number('step') ?? 0}`
    case 'command:refused':
      return `${view.runId} refused: ${oneLine(text('message') ?? '')}`
    default:
      return null
  }
}

function repeatedNow(event: RunEvent): string {
  const repeated = fields(event).texts('repeated_calls').length
  return repeated === 0 ? '' : `; ${repeated} call${repeated === 1 ? '' : 's'} that were under way are made again`
}

const stepWords: Readonly<Partial<Record<RunEvent['event'], string>>> = {
  'inference:started': 'running',
  'inference:completed': 'done',
  'inference:skipped': 'skipped',
  'inference:failed': 'failed',
  'inference:error': 'warning',
  'user_input:request': 'waits for an answer',
  'user_input:cancelled': 'not answered',
  'user_input:expired': 'not answered in time',
}

function stepLineOf(event: RunEvent, view: ProgressView): string | null {
  const word = stepWords[event.event]
  if (word === undefined) return null
  const { text } = fields(event)
  const flowIndex = text('flow_index') ?? ''
  const step = view.steps.get(flowIndex)
  const counts = countSteps(view)
  const settled = counts.completed + counts.skipped + counts.failed
  const took = step?.durationMs == null || event.event === 'inference:error' ? '' : ` (${duration(step.durationMs)})`
  const more = errorText(event) ?? text('prompt')
  const where = oneLine(`${flowIndex} ${step?.name ?? text('concept_name') ?? ''}`)
  return `[${settled}/${Math.max(view.total, view.steps.size)}] ${word.padEnd(9)} ${where}${took}${more === undefined ? '' : `: ${oneLine(more)}`}`
}

function elapsed(view: ProgressView): string {
  return view.startedAt === null || view.endedAt === null ? '' : ` after ${duration(view.endedAt - view.startedAt)}`
}
