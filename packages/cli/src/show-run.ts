import type { FinalConcept, Run, RunResult } from '@slipway/protocol/runs'
import { writeJson } from '@slipway/sdk/json'
import { restLine } from './held.ts'
import type { Terminal } from './terminal.ts'
import { byteCount, duration, oneLine, plain } from './text.ts'

/** The final values as a person reads them: text as text, anything else as JSON. */
export function resultLines(result: RunResult, terminal: Pick<Terminal, 'paint'>): string[] {
  const { paint } = terminal
  const lines = result.final_concepts.flatMap(concept => [
    paint('bold', oneLine(concept.name)),
    ...valueLines(concept),
    '',
  ])
  if (result.files.length > 0)
    lines.push(
      paint('bold', 'Files'),
      ...result.files.map(file => `  ${oneLine(file.path)} ${paint('dim', byteCount(file.size_bytes))}`),
      '',
    )
  return lines.slice(0, -1)
}

function valueLines(concept: FinalConcept): string[] {
  if (!concept.has_value) return ['  (no value)']
  const text = typeof concept.value === 'string' ? concept.value : writeJson(concept.value, 2)
  return plain(text)
    .split('\n')
    .map(line => `  ${line}`.trimEnd())
}

/** One line on how a run ended, and below it why, where it did not complete. */
export function endLines(run: Run, { paint }: Pick<Terminal, 'paint'>): string[] {
  const { completed_count: completed, skipped_count: skipped, total_count: total, cycle_count: cycles } = run.progress
  const facts = `${completed} of ${total} steps done${skipped > 0 ? ` (${skipped} skipped)` : ''}, ${cycles} cycles${elapsed(run)}`
  if (run.status === 'completed') return [`${paint('green', '✔')} ${run.run_id} completed: ${facts}`]
  if (run.status !== 'failed') return [`${restLine(run)} ${facts}`]
  return [`${paint('red', '✘')} ${run.run_id} failed: ${facts}`, ...errorLines(run)]
}

function errorLines({ error }: Run): string[] {
  if (!error) return []
  return [
    `  ${plain(error.message)} [${error.reason}]`,
    ...error.stuck.slice(0, 10).map(step => `  ${oneLine(`${step.flow_index} ${step.concept_name}: ${step.why}`)}`),
    ...(error.stuck.length > 10 ? [`  and ${error.stuck.length - 10} more`] : []),
  ]
}

function elapsed(run: Run): string {
  if (run.started_at === null || run.completed_at === null) return ''
  return `, ${duration(Date.parse(run.completed_at) - Date.parse(run.started_at))}`
}
