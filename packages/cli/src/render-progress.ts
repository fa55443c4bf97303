import type { StepStatus } from '@slipway/protocol/runs'
import { answersWanted, pausedSentence, repeatedSentence, stalledSentence } from './notices.ts'
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
  if (view.state === 'paused') return pausedSentence(view)
  if (view.questions > 0) return answersWanted(view.questions)
  if (view.stalledOn.length > 0) return stalledSentence(view.stalledOn)
  return view.repeatedCalls > 0 ? repeatedSentence(view.repeatedCalls) : undefined
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
