import type { RunEvent } from '@slipway/protocol/events'
import type { Run, RunState, StepStatus } from '@slipway/protocol/runs'
import { fields } from './event-fields.ts'

export interface StepView {
  readonly flowIndex: string
  readonly name: string
  readonly status: StepStatus
  /** Server time in milliseconds. */
  readonly startedAt: number | null
  readonly durationMs: number | null
  /** Order of the last change, for showing what happened last. */
  readonly changed: number
}

/** A run as far as its events tell. */
export interface ProgressView {
  readonly runId: string
  readonly planId: string
  readonly state: RunState
  readonly queuePosition: number | null
  readonly steps: ReadonlyMap<string, StepView>
  readonly total: number
  readonly cycle: number
  readonly maxCycles: number
  readonly modelCalls: number
  readonly tokens: number
  readonly startedAt: number | null
  readonly endedAt: number | null
  /** Time of the newest event by the server's clock. */
  readonly heardAt: number | null
  /** Questions to people that are open. */
  readonly questions: number
  /** The step before which the run is held, and by what; null while it goes on. */
  readonly held: { readonly by: string; readonly flowIndex: string } | null
  /** The steps whose calls have not been answered for long; empty while answers come. */
  readonly stalledOn: readonly string[]
  /** Calls that were under way when a server ended, and were made again. */
  readonly repeatedCalls: number
  readonly connection: string | null
}

export function startProgress(run: Run): ProgressView {
  return {
    runId: run.run_id,
    planId: run.plan_id,
    state: run.status,
    queuePosition: run.queue_position,
    steps: new Map(),
    total: run.progress.total_count,
    cycle: 0,
    maxCycles: run.max_cycles,
    modelCalls: 0,
    tokens: 0,
    startedAt: null,
    endedAt: null,
    heardAt: null,
    questions: 0,
    held: run.held && { by: run.held.by, flowIndex: run.held.flow_index },
    stalledOn: [],
    repeatedCalls: 0,
    connection: null,
  }
}

/** The view behind one more event. Events without a meaning for progress change nothing but the time. */
export function applyEvent(before: ProgressView, event: RunEvent): ProgressView {
  const stalledOn = event.event === 'execution:stalled' ? fields(event).texts('waits_for') : []
  const view = { ...before, heardAt: event.ts, connection: null, stalledOn }
  return applyStateEvent(view, event) ?? applyOtherEvent(view, event)
}

/** What changes the state of the run as a whole; undefined for other events. */
function applyStateEvent(view: ProgressView, event: RunEvent): ProgressView | undefined {
  const { number, record, texts } = fields(event)
  switch (event.event) {
    case 'run:queued':
      return { ...view, state: 'pending', queuePosition: number('position') ?? number('queue_position') ?? null }
    case 'run:started':
      return { ...goingOn(view), startedAt: view.startedAt ?? event.ts }
    case 'run:recovered':
      return { ...goingOn(view), repeatedCalls: view.repeatedCalls + texts('repeated_calls').length }
    case 'execution:resumed':
      return goingOn(view)
    case 'execution:paused':
      return { ...view, state: 'paused', held: readHeld(record('held')) }
    case 'execution:waiting':
      return { ...view, state: 'waiting' }
    case 'execution:stopped':
      return { ...view, state: 'stopping' }
    case 'run:completed':
      return { ...view, state: 'completed', endedAt: event.ts, questions: 0, held: null }
    case 'run:failed':
      return { ...view, state: 'failed', endedAt: event.ts, questions: 0, held: null }
    default:
      return undefined
  }
}

/** A run can go on after it was over. */
function goingOn(view: ProgressView): ProgressView {
  return { ...view, state: 'running', queuePosition: null, endedAt: null, held: null }
}

function readHeld(held: Readonly<Record<string, unknown>> | undefined): ProgressView['held'] {
  const { by, flow_index: flowIndex } = held ?? {}
  return typeof by === 'string' && typeof flowIndex === 'string' ? { by, flowIndex } : null
}

function applyOtherEvent(view: ProgressView, event: RunEvent): ProgressView {
  const { number } = fields(event)
  switch (event.event) {
    case 'cycle:started':
      return { ...view, cycle: number('cycle') ?? view.cycle }
    case 'execution:progress':
      return { ...view, total: number('total_count') ?? view.total, cycle: number('cycle_count') ?? view.cycle }
    case 'llm:call_completed':
      return { ...view, modelCalls: view.modelCalls + 1, tokens: view.tokens + tokensOf(event) }
    default:
      return applyStepEvent(view, event)
  }
}

function applyStepEvent(view: ProgressView, event: RunEvent): ProgressView {
  switch (event.event) {
    case 'node:statuses':
      return applyStatuses(view, event)
    case 'inference:started':
      return withStep(view, event, 'running')
    case 'inference:completed':
      return withStep(view, event, 'completed')
    case 'inference:skipped':
      return withStep(view, event, 'skipped')
    case 'inference:failed':
      return withStep(view, event, 'failed')
    case 'inference:pending':
      return withStep(view, event, 'pending')
    case 'user_input:request':
      return { ...view, questions: view.questions + 1 }
    case 'user_input:completed':
    case 'user_input:cancelled':
    case 'user_input:expired':
      return { ...view, questions: Math.max(0, view.questions - 1) }
    default:
      return view
  }
}

function withStep(view: ProgressView, event: RunEvent, status: StepStatus): ProgressView {
  const { text } = fields(event)
  const flowIndex = text('flow_index')
  if (flowIndex === undefined) return view
  const known = view.steps.get(flowIndex)
  const started = status === 'running' ? event.ts : (known?.startedAt ?? null)
  const step: StepView = {
    flowIndex,
    name: text('concept_name') ?? known?.name ?? '',
    status,
    startedAt: started,
    durationMs: status === 'running' || started === null ? null : event.ts - started,
    changed: event.seq,
  }
  return { ...view, steps: new Map(view.steps).set(flowIndex, step) }
}

/** `statuses` holds all steps at first and changes later. */
function applyStatuses(view: ProgressView, event: RunEvent): ProgressView {
  const { record, number } = fields(event)
  const steps = new Map(view.steps)
  for (const [flowIndex, status] of Object.entries(record('statuses') ?? {})) {
    const read = stepStatus(status)
    const known = steps.get(flowIndex)
    if (read === undefined || known?.status === read) continue
    const startedAt = read === 'running' ? event.ts : (known?.startedAt ?? null)
    steps.set(flowIndex, {
      durationMs: null,
      name: '',
      ...known,
      flowIndex,
      status: read,
      startedAt,
      changed: event.seq,
    })
  }
  return { ...view, steps, total: Math.max(number('total_count') ?? view.total, steps.size) }
}

const statuses: ReadonlySet<string> = new Set(['pending', 'running', 'completed', 'failed', 'skipped'])

function stepStatus(value: unknown): StepStatus | undefined {
  if (value === 'in_progress') return 'running'
  return typeof value === 'string' && statuses.has(value) ? (value as StepStatus) : undefined
}

function tokensOf(event: RunEvent): number {
  const { number } = fields(event)
  return (number('input_tokens') ?? 0) + (number('output_tokens') ?? 0)
}

export function countSteps(view: ProgressView): Readonly<Record<StepStatus, number>> {
  const counts = { pending: 0, running: 0, completed: 0, failed: 0, skipped: 0 }
  for (const step of view.steps.values()) counts[step.status] += 1
  return counts
}
