import type { Reference } from '#reference/reference'
import type { Effect, EffectOutcome, EffectRequest } from '#run/effects'
import type { StepRecord } from '#run/records'
import type { Run } from '#run/run'
import { repr } from '#value/python-repr'
import { PyDict, type Value } from '#value/value'

/** Performs the effects of a case: from a script of answers, or for real. */
export interface World {
  perform(request: EffectRequest): EffectOutcome | Promise<EffectOutcome>
}

type ScriptEffect = Extract<Effect, { readonly type: 'script.call' | 'script.execute' }>

/** Plays a run to its end and writes down what happened, in the form in which recorded results are kept. */
export async function playAndRecord(run: Run, world: World): Promise<Recording> {
  const recording = new Recording(run)
  const waiting: EffectRequest[] = []
  for (;;) {
    const progress = run.advance()
    for (const record of progress.records) recording.addRecord(record)
    waiting.push(...progress.effects)
    const request = waiting.shift()
    if (progress.end !== null || request === undefined) return recording
    const outcome = await world.perform(request)
    recording.addCall(request, outcome)
    run.resolve(request.key, outcome)
  }
}

export class Recording {
  readonly run: Run
  readonly llmCalls: PyDict[] = []
  readonly pythonCalls: PyDict[] = []
  readonly userInputs: PyDict[] = []
  readonly chatSent: Value[] = []
  readonly canvasCommands: Value[] = []
  readonly trace: PyDict[] = []
  readonly errors: PyDict[] = []
  readonly writtenFiles = new Map<string, string>()
  readonly #references = new Map<string, Reference | null>()
  readonly #callsOfStep = new Map<string, { llm: number[]; python: number[] }>()

  constructor(run: Run) {
    this.run = run
    run.program.concepts.forEach(({ entry, index }) => {
      this.#references.set(entry.conceptName, run.state.references[index] ?? null)
    })
  }

  addCall(request: EffectRequest, outcome: EffectOutcome): void {
    const { effect } = request
    const value = outcome.ok ? outcome.value : null
    switch (effect.type) {
      case 'model.generate':
        this.#callsOf(request).llm.push(this.llmCalls.length + 1)
        this.llmCalls.push(PyDict.from({ n: this.llmCalls.length + 1, prompt: effect.prompt, response: value }))
        return
      case 'script.call':
      case 'script.execute':
        this.#callsOf(request).python.push(this.pythonCalls.length + 1)
        this.pythonCalls.push(pythonCall(this.pythonCalls.length + 1, effect, value))
        return
      case 'input.ask':
        this.userInputs.push(userInput(effect, value))
        return
      case 'chat.write':
        this.chatSent.push(effect.message)
        return
      case 'canvas.execute':
        this.canvasCommands.push([effect.command, effect.params])
        return
      case 'file.write':
        this.writtenFiles.set(effect.path, effect.content)
        return
      default:
        return
    }
  }

  addRecord(record: StepRecord): void {
    for (const change of record.changes) {
      if (change.reference !== undefined) this.#references.set(change.name, change.reference)
    }
    const calls = this.#callsOfStep.get(stepKey(record.flowIndex, record.execution))
    const reference = this.#references.get(record.concept) ?? null
    const failed = record.status === 'failed' ? record.errors.at(-1) : undefined
    if (failed) {
      this.errors.push(PyDict.from({ flow_index: record.flowIndex, error: `${failed.name}: ${failed.message}` }))
    }
    this.trace.push(
      PyDict.of([
        ['n', record.n],
        ['cycle', record.cycle],
        ['flow_index', record.flowIndex],
        ['sequence', record.sequence],
        ['concept', record.concept],
        ['status', record.status],
        ['detail', record.detail],
        ...(record.sequence === 'timing' ? [] : [['reference', referenceDict(reference)] as const]),
        ...(calls && calls.llm.length > 0 ? [['llm_calls', calls.llm] as const] : []),
        ...(calls && calls.python.length > 0 ? [['python_calls', calls.python] as const] : []),
        ...(record.errors.length > 0 ? [['cell_errors', record.errors.map(errorDict)] as const] : []),
      ]),
    )
  }

  #callsOf({ key }: EffectRequest): { llm: number[]; python: number[] } {
    const step = key.slice(0, key.indexOf('/'))
    const calls = this.#callsOfStep.get(step) ?? { llm: [], python: [] }
    this.#callsOfStep.set(step, calls)
    return calls
  }
}

function stepKey(flowIndex: string, execution: number): string {
  return `${flowIndex}#${execution}`
}

function errorDict(error: { readonly path: string; readonly name: string; readonly message: string }): PyDict {
  return PyDict.from({ path: error.path, error: `${error.name}: ${error.message}` })
}

export function referenceDict(reference: Reference | null): PyDict | null {
  return reference && PyDict.from({ axes: reference.axes, shape: reference.shape, data: reference.data })
}

function pythonCall(n: number, effect: ScriptEffect, value: Value): PyDict {
  const isCall = effect.type === 'script.call'
  return PyDict.from({
    n,
    kind: isCall ? 'function' : 'execute',
    function: isCall ? effect.functionName : null,
    inputs: isCall ? effect.args : effect.globals,
    result_repr: repr(value),
    result: value,
  })
}

function userInput(effect: Extract<Effect, { readonly type: 'input.ask' }>, answer: Value): PyDict {
  const { type, prompt, initialText, options } = effect.interaction
  const kwargs = PyDict.of([
    ['prompt_text', prompt === '' ? null : prompt],
    ...(initialText === undefined ? [] : [['initial_text', initialText] as const]),
  ])
  // The engine knows the plan's folder only as `.`.
  const config = [...options.entries()].map(
    ([key, value]) => [key, key === 'initial_directory' && value === '.' ? '<BASE>' : value] as const,
  )
  return PyDict.from({ config: PyDict.of([...config, ['interaction_type', type]]), kwargs, answer })
}

const FUNCTION_TYPES = new Set(['({})', '::({})', '<{}>'])

/** The whole recording as one object with the keys of recorded results. */
export function recordingDict(recording: Recording): PyDict {
  const { run } = recording
  const { state, program, tracker } = run
  const bySlot = (values: readonly (Value | undefined)[]): PyDict =>
    PyDict.of(
      program.slots.flatMap(({ flowIndex }, slot) => {
        const value = values[slot] ?? null
        return value === null ? [] : [[flowIndex, value] as const]
      }),
    )
  const concepts = program.concepts.map(({ entry, index }) => ({ entry, reference: state.references[index] ?? null }))
  const references = concepts.filter(({ entry, reference }) => reference !== null && !FUNCTION_TYPES.has(entry.type))
  return PyDict.of([
    ['cycles', tracker.cycleCount],
    ['tracker', trackerDict(run)],
    ['final', run.finals().map(({ name, reference }) => finalDict(name, reference))],
    ['item_statuses', bySlot(state.statuses)],
    ['item_completion_details', bySlot(state.details)],
    ['item_execution_counts', bySlot(state.counts)],
    ['item_results', bySlot(state.results)],
    [
      'concept_statuses',
      PyDict.of(concepts.map(({ entry }, at) => [entry.conceptName, state.conceptStatuses[at] ?? null])),
    ],
    ['truth_masks', truthMasks(run)],
    ['errors', recording.errors],
    [
      'concept_references',
      PyDict.of(references.map(({ entry, reference }) => [entry.conceptName, referenceDict(reference)])),
    ],
    ['llm_calls', recording.llmCalls],
    ['user_inputs', recording.userInputs],
    ['python_calls', recording.pythonCalls],
    ['trace', recording.trace],
    ['chat_sent', recording.chatSent],
    ['canvas_commands', recording.canvasCommands],
    ['end', endDict(run)],
  ])
}

function finalDict(concept: string, reference: Reference | null): PyDict {
  if (reference === null) return PyDict.from({ concept, reference: null })
  return PyDict.from({ concept, axes: reference.axes, shape: reference.shape, data: reference.data })
}

function trackerDict({ tracker }: Run): PyDict {
  return PyDict.from({
    completion_order: [...tracker.completionOrder],
    cycle_count: tracker.cycleCount,
    total_executions: tracker.totalExecutions,
    successful_executions: tracker.successfulExecutions,
    skipped_executions: tracker.skippedExecutions,
    failed_executions: tracker.failedExecutions,
    retry_count: tracker.retryCount,
  })
}

function truthMasks({ state, program }: Run): PyDict {
  return PyDict.of(
    [...state.truthMasks].map(([concept, { tensor, filterAxis }]) => [
      program.concepts[concept]?.entry.conceptName ?? '',
      PyDict.from({ tensor: tensor.data, axes: tensor.axes, filter_axis: filterAxis, shape: tensor.shape }),
    ]),
  )
}

function endDict({ end }: Run): PyDict | null {
  if (end === null) return null
  const stuck = end.stuck.map(({ flowIndex, why }) => PyDict.from({ flow_index: flowIndex, why: why.type }))
  return PyDict.from({ status: end.status, reason: end.reason, stuck })
}
