import { heldText } from './held.ts'
import type { ProgressView } from './progress.ts'
import { oneLine } from './text.ts'

export function pausedSentence({ held, runId }: ProgressView): string {
  const place = held === null ? 'Paused.' : `${heldText({ by: held.by, flow_index: held.flowIndex })}.`
  return `${place} Go on with: slipway resume ${runId}, or slipway step ${runId}`
}

export function answersWanted(questions: number): string {
  return questions === 1 ? 'This run waits for an answer.' : `This run waits for ${questions} answers.`
}

export function stalledSentence(flowIndexes: readonly string[]): string {
  return `Nothing has been answered for long; it waits for ${oneLine(flowIndexes.join(', '))}.`
}

export function repeatedSentence(calls: number): string {
  return `After a crash of the server ${calls} call${calls === 1 ? ' was' : 's were'} made again.`
}
