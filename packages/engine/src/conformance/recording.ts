import type { Reference } from '#reference/reference'
import type { Effect, EffectOutcome, EffectRequest } from '#run/effects'
import { changedReference } from '#run/growth'
import type { StepRecord } from '#run/records'
import type { Run } from '#run/run'
import { repr } from '#value/python-repr'
import { PyDict, type Value } from '#value/value'

/** Performs the effects of a case: from a script of answers, or for real. */
export interface World {
  perform(request: EffectRequest): EffectOutcome | Promise<EffectOutcome>
}

type ScriptEffect = Extract<Effect, { readonly type: 'script.call' | 'script.execute' }>

/** The SHA-256 of a script's text as hex digits; `place` counts the calls from 0. Null when nobody can say. */
export type ScriptDigest = (code: string, place: number) => string | null

/** Plays a run to its end and writes down what happened, in the form in which recorded results are kept. */
export async function playAndRecord(run: Run, world: World, digest: ScriptDigest = () => null): Promise<Recording> {
  const recording = new Recording(run, digest)
  const waiting: EffectRequest[] = []
  for (;;) {
    const progress = run.advance()
    for (const record of progress.records) if (record.kind === 'step') recording.addRecord(record)
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
  chatReads = 0
  /** What went wrong in single cells, which the trace of the reference engine does not show. */
  readonly cellErrors: PyDict[] = []
  readonly trace: PyDict[] = []
  readonly errors: PyDict[] = []
  /** Where it was written, as the world says it, to the last text. */
  readonly writtenFiles = new Map<string, string>()
  readonly #references = new Map<string, Reference | null>()
  readonly #callsOfStep = new Map<string, { llm: number[]; python: number[] }>()
  readonly #digest: ScriptDigest

  constructor(run: Run, digest: ScriptDigest = () => null) {
    this.run = run
    this.#digest = digest
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
        this.llmCalls.push(
          PyDict.from({
            n: this.llmCalls.length + 1,
            prompt: effect.prompt,
            response: value,
            response_format: effect.json ? PyDict.from({ type: 'json_object' }) : null,
          }),
        )
        return
      case 'script.call':
      case 'script.execute':
        this.#callsOf(request).python.push(this.pythonCalls.length + 1)
        this.pythonCalls.push(
          pythonCall(effect, {
            n: this.pythonCalls.length + 1,
            sha256: this.#digest(effect.code, this.pythonCalls.length),
            result: value,
          }),
        )
        return
      case 'input.ask':
        this.userInputs.push(userInput(effect, { sequence: this.#sequenceOf(request), answer: value }))
        return
      case 'chat.read':
        if (outcome.ok) this.chatReads += 1
        return
      case 'chat.write':
        this.chatSent.push(effect.message)
        return
      case 'canvas.execute':
        this.canvasCommands.push([effect.command, effect.params])
        return
      case 'file.write':
        if (outcome.ok) this.writtenFiles.set(typeof value === 'string' ? value : effect.path, effect.content)
        return
      default:
        return
    }
  }

  addRecord(record: StepRecord): void {
    for (const change of record.changes) {
      this.#references.set(change.name, changedReference(this.#references.get(change.name) ?? null, change))
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
      ]),
    )
    for (const { path, name, message } of record.errors) {
      const error = `${name}: ${message}`
      this.cellErrors.push(PyDict.from({ n: record.n, flow_index: record.flowIndex, path, error }))
    }
  }

  #sequenceOf({ key }: EffectRequest): string | null {
    const flowIndex = key.slice(0, key.indexOf('#'))
    return this.run.program.items.find(item => item.entry.flowIndex === flowIndex)?.entry.sequence ?? null
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

export function referenceDict(reference: Reference | null): PyDict | null {
  return reference && PyDict.from({ axes: reference.axes, shape: reference.shape, data: reference.data })
}

function pythonCall(
  effect: ScriptEffect,
  call: { readonly n: number; readonly sha256: string | null; readonly result: Value },
): PyDict {
  const isCall = effect.type === 'script.call'
  return PyDict.from({
    n: call.n,
    kind: isCall ? 'function' : 'execute',
    script_sha256: call.sha256,
    function: isCall ? effect.functionName : null,
    inputs: isCall ? effect.args : effect.globals,
    result_repr: repr(call.result),
    result: call.result,
  })
}

type Question = Extract<Effect, { readonly type: 'input.ask' }>

function userInput(
  { interaction }: Question,
  { sequence, answer }: { readonly sequence: string | null; readonly answer: Value },
): PyDict {
  const { type, prompt, initialText, options } = interaction
  const isInput = sequence === 'imperative_input'
  // That sequence hands on the values that it has; paradigms name each text, also one that is missing.
  const context = [...options.entries()].filter(([key]) => isInput && isContext(key))
  const kwargs = PyDict.of([
    ...(isInput && prompt === '' ? [] : [['prompt_text', prompt === '' ? null : prompt] as const]),
    ...(type === 'text_editor' || initialText !== undefined ? [['initial_text', initialText ?? null] as const] : []),
    ...context,
  ])
  // The engine knows the plan's folder only as `.`.
  const config = [...options.entries()]
    .filter(entry => !context.some(([key]) => key === entry[0]))
    .map(([key, value]) => [key, key === 'initial_directory' && value === '.' ? '<BASE>' : value] as const)
  return PyDict.from({ config: PyDict.of([...config, ['interaction_type', type]]), kwargs, answer })
}

function isContext(key: Value): boolean {
  return typeof key === 'string' && key.startsWith('context_')
}

const FUNCTION_TYPES = new Set(['({})', '::({})', '<{}>'])

/** What happened as one object with the keys of recorded results. */
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
