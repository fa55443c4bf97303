import type { RunEvent } from '@slipway/protocol/events'
import type { StepStatus } from '@slipway/protocol/runs'
import { errorText, fields } from './event-fields.ts'
import { countSteps, type ProgressView, type StepView } from './progress.ts'
import type { Paint } from './terminal.ts'
import { displayWidth, duration, grouped, oneLine, padded, truncated } from './text.ts'

export interface RenderOptions {
  readonly width: number
  /** Most lines that may be used, headings included. */
  readonly height: number
  /** Now, by the server's clock, in milliseconds. */
  readonly now: number
  readonly paint: Paint
}

const marks: Readonly<Record<StepStatus, string>> = {
  pending: '·',
  running: '●',
  completed: '✔',
  failed: '✘',
  skipped: '↷',
}
const styles = { pending: 'dim', running: 'cyan', completed: 'green', failed: 'red', skipped: 'yellow' } as const

/** The live display: what runs, how far it is, and the steps that matter now. No line is wider than `width`. */
export function renderProgress(view: ProgressView, options: RenderOptions): string[] {
  const { width, height, paint } = options
  const lines = [headline(view, options), bar(view, options)]
  const notice = noticeOf(view)
  if (notice !== undefined) lines.push(paint('yellow', truncated(notice, width)))
  const room = Math.max(0, Math.min(height - lines.length, 12))
  return [...lines, ...shownSteps(view, room).map(step => stepLine(step, options))]
}

function headline(view: ProgressView, { width, now, paint }: RenderOptions): string {
  const facts = [
    view.state === 'pending' && view.queuePosition !== null ? `waiting, place ${view.queuePosition}` : view.state,
    ...(view.startedAt === null ? [] : [duration((view.endedAt ?? now) - view.startedAt)]),
    `cycle ${view.cycle}`,
    ...(view.modelCalls === 0 ? [] : [`${grouped(view.modelCalls)} model calls`, `${grouped(view.tokens)} tokens`]),
  ].join(' · ')
  const name = truncated(oneLine(`${view.planId} ${view.runId}`), Math.max(8, width - displayWidth(facts) - 2))
  return displayWidth(name) + displayWidth(facts) + 2 > width
    ? truncated(facts, width)
    : `${paint('bold', name)}  ${facts}`
}

function bar(view: ProgressView, { width, paint }: RenderOptions): string {
  const counts = countSteps(view)
  const total = Math.max(view.total, view.steps.size)
  const settled = counts.completed + counts.skipped + counts.failed
  const facts = [
    `${settled}/${total} steps`,
    `${counts.running} running`,
    `${counts.failed} failed`,
    ...(counts.skipped > 0 ? [`${counts.skipped} skipped`] : []),
  ].join(' · ')
  const room = Math.min(40, width - displayWidth(facts) - 1)
  if (room < 8) return truncated(facts, width)
  const filled = total === 0 ? 0 : Math.round((settled / total) * room)
  return `${paint(counts.failed > 0 ? 'red' : 'green', '█'.repeat(filled))}${paint('dim', '░'.repeat(room - filled))} ${facts}`
}

function noticeOf(view: ProgressView): string | undefined {
  if (view.connection !== null) return `Connection lost, trying again: ${oneLine(view.connection)}`
  return view.waitsForAnswer ? 'This run waits for an answer.' : undefined
}

/** Running steps first, then failed ones, then those that changed last. */
function shownSteps(view: ProgressView, room: number): StepView[] {
  const urgency = (step: StepView): number => (step.status === 'running' ? 0 : step.status === 'failed' ? 1 : 2)
  return [...view.steps.values()]
    .filter(step => step.status !== 'pending')
    .sort((a, b) => urgency(a) - urgency(b) || b.changed - a.changed)
    .slice(0, room)
}

function stepLine(step: StepView, { width, now, paint }: RenderOptions): string {
  const took = step.status === 'running' && step.startedAt !== null ? now - step.startedAt : step.durationMs
  const time = took === null ? '' : duration(took)
  const index = padded(oneLine(step.flowIndex), 12)
  const room = width - 4 - displayWidth(index) - 1 - displayWidth(time) - 1
  const name = padded(truncated(oneLine(step.name), Math.max(4, room)), Math.max(4, room))
  const line = `${index} ${name} ${time}`
  return `  ${paint(styles[step.status], marks[step.status])} ${truncated(line, width - 4)}`
}

/** One line for an event where the display cannot be redrawn; null for events that would only be noise. */
export function progressLine(event: RunEvent, view: ProgressView): string | null {
  switch (event.event) {
    case 'run:queued':
      return `${view.runId} waits${view.queuePosition === null ? '' : `, place ${view.queuePosition} in the queue`}`
    case 'run:started':
      return `${view.runId} started: ${oneLine(view.planId)}, ${view.total} steps`
    case 'run:recovered':
      return `${view.runId} goes on after a restart of the server`
    case 'execution:paused':
      return `${view.runId} is paused; go on with: slipway resume ${view.runId}`
    case 'execution:resumed':
      return `${view.runId} goes on`
    case 'run:completed':
      return `${view.runId} completed${elapsed(view)}`
    case 'run:failed':
      return `${view.runId} failed${elapsed(view)}`
    default:
      return stepLineOf(event, view)
  }
}

const stepWords: Readonly<Partial<Record<RunEvent['event'], string>>> = {
  'inference:started': 'running',
  'inference:completed': 'done',
  'inference:skipped': 'skipped',
  'inference:failed': 'failed',
  'inference:error': 'warning',
  'user_input:request': 'waits for an answer',
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
