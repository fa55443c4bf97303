import type { EventName, RunEvent } from '@slipway/protocol/events'
import type { LogLine } from '@slipway/protocol/debugging'

interface Said {
  readonly level: LogLine['level']
  readonly message: string
}
type Fields = Readonly<Record<string, unknown>>

/** An event in words; null for those that only count or repeat what others say. */
export function toLogLine(event: RunEvent): LogLine | null {
  const said = phrases[event.event](event)
  if (said === null) return null
  const flowIndex = event['flow_index']
  return {
    seq: event.seq,
    level: said.level,
    flow_index: typeof flowIndex === 'string' ? flowIndex : null,
    message: said.message,
    at: new Date(event.ts).toISOString(),
  }
}

const phrases: Readonly<Record<EventName, (event: Fields) => Said | null>> = {
  'run:queued': event => info(`Accepted, for the plan ${text(event, 'plan_id')}.`),
  'run:started': () => info('Started.'),
  'run:completed': () => info('Completed.'),
  'run:failed': failed,
  'run:recovered': recovered,
  'run:forked': event =>
    info(`Forked from ${text(event, 'from_run_id')} at checkpoint ${text(event, 'step')} (${text(event, 'mode')}).`),
  'run:imported': () => info('Imported.'),
  'node:statuses': () => null,
  'cycle:started': event => info(`Cycle ${text(event, 'cycle')} began.`),
  'cycle:completed': () => null,
  'inference:started': event =>
    info(`Step ${step(event)} (${text(event, 'sequence')}) began, to infer ${text(event, 'concept_name')}.`),
  'inference:completed': completed,
  'inference:pending': pending,
  'inference:skipped': event => info(`Step ${text(event, 'flow_index')} was skipped, because of ${text(event, 'by')}.`),
  'inference:failed': event => error(`Step ${step(event)} failed: ${problem(event['error'])}`),
  'inference:error': event =>
    warning(`Step ${step(event)} went on without ${cellOf(event)}: ${problem(event['error'])}`),
  'loop:progress': event =>
    info(
      `Step ${text(event, 'flow_index')} has gone over ${text(event, 'stored')} of ${text(event, 'total')} elements.`,
    ),
  'execution:progress': () => null,
  'execution:paused': event => info(`Paused${heldBy(event['held'])}.`),
  'execution:resumed': () => info('Resumed.'),
  'execution:stopped': event => warning(`Stopped: ${text(event, 'reason')}`),
  'execution:waiting': () => info('Waits for people.'),
  'execution:stalled': event =>
    warning(`Nothing has come back for ${text(event, 'seconds')} s from ${list(event, 'waits_for')}.`),
  'execution:stepping': () => info('One step was let through.'),
  'execution:run_to': event => info(`Goes on until step ${text(event, 'flow_index')} has executed.`),
  'execution:partial_reset': event => info(`To be done again: ${list(event, 'flow_indexes')}.`),
  'execution:restored': event => info(`Taken back to checkpoint ${text(event, 'step')}.`),
  'breakpoint:hit': event => info(`Stands at the breakpoint before step ${step(event)}.`),
  'breakpoint:set': event => info(`A breakpoint was set before step ${text(event, 'flow_index')}.`),
  'breakpoint:cleared': event => info(`The breakpoint before step ${text(event, 'flow_index')} was cleared.`),
  'breakpoints:cleared_all': () => info('All breakpoints were cleared.'),
  'value:overridden': event => info(`${text(event, 'concept_name')} was given another value.`),
  'function:modified': event =>
    info(
      `Step ${text(event, 'flow_index')} was changed: ${[list(event, 'keys'), promptOf(event)].filter(Boolean).join(', ')}.`,
    ),
  'command:refused': event => warning(`A command was refused: ${text(event, 'message')}`),
  'llm:call_started': event => info(`Step ${text(event, 'flow_index')} asks a model.`),
  'llm:call_completed': modelAnswered,
  'llm:call_failed': event =>
    warning(`The model gave no answer to step ${text(event, 'flow_index')}: ${problem(event['error'])}`),
  'tool:call_started': event => info(`Step ${text(event, 'flow_index')} runs a script.`),
  'tool:call_completed': event => info(`The script of step ${text(event, 'flow_index')} ended.`),
  'tool:call_failed': event =>
    warning(`The script of step ${text(event, 'flow_index')} failed: ${problem(event['error'])}`),
  'file:changed': event => info(`Step ${text(event, 'flow_index')} changed the file ${text(event, 'path')}.`),
  'user_input:request': event => info(`Step ${text(event, 'flow_index')} asks a person: ${text(event, 'prompt')}`),
  'user_input:completed': event => info(`A person answered step ${text(event, 'flow_index')}.`),
  'user_input:cancelled': event =>
    warning(`The question of step ${text(event, 'flow_index')} was cancelled: ${text(event, 'reason')}`),
  'user_input:expired': event => warning(`Nobody answered the question of step ${text(event, 'flow_index')} in time.`),
  'chat:message': event => info(`Chat, ${text(event, 'role')}: ${text(event, 'content')}`),
  'canvas:command': event => info(`Canvas: ${text(event, 'command')}`),
  'plan:deployed': () => null,
  'plan:deleted': () => null,
}

function failed(event: Fields): Said {
  const { reason, message, stuck } = fieldsOf(event['error'])
  const steps = (Array.isArray(stuck) ? stuck : []).map(fieldsOf).slice(0, 20)
  const whys = steps.map(one => `${text(one, 'flow_index')} ${text(one, 'why')}`)
  const open = whys.length === 0 ? '' : ` Open: ${whys.join('; ')}.`
  return error(`Failed (${shown(reason)}): ${shown(message)}${open}`)
}

function recovered(event: Fields): Said {
  const repeated = event['repeated_calls']
  const calls = Array.isArray(repeated) ? repeated.length : 0
  return warning(
    `Taken up again after a server ended${calls === 0 ? '' : `; calls made again: ${list(event, 'repeated_calls')}`}.`,
  )
}

function completed(event: Fields): Said {
  const { detail, errors } = event
  const how =
    detail === null || detail === undefined || detail === 'success' ? '' : ` (${shown(detail).replaceAll('_', ' ')})`
  const problems = Array.isArray(errors) ? errors : []
  if (problems.length === 0) return info(`Step ${step(event)} completed${how}.`)
  const first = problem(problems[0])
  return warning(
    `Step ${step(event)} completed${how} with ${problems.length} of its cells in error; the first: ${first}`,
  )
}

function pending(event: Fields): Said {
  const { reason, iteration } = event
  if (reason !== 'loop_iteration') return info(`Step ${step(event)} waits for more.`)
  return info(`Step ${step(event)} goes on with iteration ${shown(iteration)}.`)
}

function modelAnswered(event: Fields): Said {
  const tokens = `${shown(event['input_tokens'] ?? 0)} tokens in, ${shown(event['output_tokens'] ?? 0)} out`
  return info(
    `${shown(event['model'] ?? event['agent'] ?? 'The model')} answered step ${text(event, 'flow_index')} (${tokens}).`,
  )
}

function heldBy(held: unknown): string {
  if (held === null || held === undefined) return ''
  return ` at ${text(fieldsOf(held), 'flow_index')}, by ${text(fieldsOf(held), 'by').replaceAll('_', ' ')}`
}

function promptOf({ has_prompt: hasPrompt }: Fields): string {
  return hasPrompt === true ? 'its prompt' : ''
}

function cellOf(event: Fields): string {
  const { path } = fieldsOf(event['error'])
  return typeof path === 'string' && path !== '' ? path : 'a cell'
}

function step(event: Fields): string {
  const { execution } = event
  const index = text(event, 'flow_index')
  return typeof execution === 'number' && execution > 1 ? `${index} (execution ${execution})` : index
}

function problem(value: unknown): string {
  const { name, message } = fieldsOf(value)
  return `${shown(name)}: ${shown(message)}`
}

function list(event: Fields, name: string): string {
  const value = event[name]
  return Array.isArray(value) ? value.slice(0, 50).map(shown).join(', ') : ''
}

function text(event: Fields, name: string): string {
  return shown(event[name])
}

const mostShown = 500

function shown(value: unknown): string {
  const whole = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return whole.length > mostShown ? `${whole.slice(0, mostShown)}…` : whole
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}

function info(message: string): Said {
  return { level: 'info', message }
}

function warning(message: string): Said {
  return { level: 'warning', message }
}

function error(message: string): Said {
  return { level: 'error', message }
}
