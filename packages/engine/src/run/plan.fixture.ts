import { parseConceptRepo, parseInferenceRepo } from '#plan/repositories'
import { fromPlain } from '#value/codec'
import type { Value } from '#value/value'
import type { Dialect } from './dialect.ts'
import type { EffectOutcome, EffectRequest } from './effects.ts'
import { prepareProgram, type Program } from './program.ts'
import type { EngineEvent, StepRecord } from './records.ts'
import { Run, type RunOptions } from './run.ts'

/** A step in a few words; what is left out has the usual default. */
export interface StepSketch {
  readonly at: string
  readonly sequence: string
  readonly infers: string
  readonly by?: string
  readonly values?: readonly string[]
  readonly contexts?: readonly string[]
  readonly with?: object
}

export interface PlanSketch {
  /** Given values by concept name; functions of steps are given by themselves. */
  readonly given?: Readonly<Record<string, unknown>>
  readonly axes?: Readonly<Record<string, readonly string[]>>
  readonly invariant?: readonly string[]
  readonly final?: readonly string[]
  readonly steps: readonly StepSketch[]
  readonly paradigms?: Readonly<Record<string, object>>
  readonly dialect?: Dialect
}

/** A plan as its files say it. */
export interface PlanSource {
  readonly concepts: string
  readonly inferences: string
  readonly dialect: Dialect
  readonly paradigms: ReadonlyMap<string, string>
}

export function programOf(sketch: PlanSketch): Program {
  return programFrom(sourceOf(sketch))
}

export function programFrom({ concepts, inferences, dialect, paradigms }: PlanSource): Program {
  return prepareProgram({
    concepts: parseConceptRepo(concepts).entries,
    inferences: parseInferenceRepo(inferences, { dialect }).entries,
    dialect,
    paradigms,
  })
}

export function sourceOf(sketch: PlanSketch): PlanSource {
  const given: Readonly<Record<string, unknown>> = sketch.given ?? {}
  const inferred = new Set(sketch.steps.map(step => step.infers))
  const names = new Set([
    ...Object.keys(given),
    ...sketch.steps.flatMap(step => [
      step.infers,
      step.by ?? `do ${step.at}`,
      ...(step.values ?? []),
      ...(step.contexts ?? []),
    ]),
  ])
  const concepts = [...names].map(name => ({
    concept_name: name,
    type: '{}',
    is_ground_concept: name in given || (!inferred.has(name) && name.startsWith('do ')),
    is_final_concept: sketch.final?.includes(name) ?? false,
    is_invariant: sketch.invariant?.includes(name) ?? false,
    reference_data: given[name] ?? (name.startsWith('do ') ? [name] : null),
    reference_axis_names: sketch.axes?.[name] ?? (name.startsWith('do ') ? ['_none_axis'] : null),
  }))
  const inferences = sketch.steps.map(step => ({
    flow_info: { flow_index: step.at },
    inference_sequence: step.sequence,
    concept_to_infer: step.infers,
    function_concept: step.by ?? `do ${step.at}`,
    value_concepts: step.values ?? [],
    context_concepts: step.contexts ?? [],
    working_interpretation: step.with ?? {},
  }))
  return {
    concepts: JSON.stringify(concepts),
    inferences: JSON.stringify(inferences),
    dialect: sketch.dialect ?? '2026-01',
    paradigms: new Map(Object.entries(sketch.paradigms ?? {}).map(([name, file]) => [name, JSON.stringify(file)])),
  }
}

export function openSketch(sketch: PlanSketch, options: Partial<RunOptions> = {}): Run {
  return new Run(programOf(sketch), { mode: 'sequential', maxCycles: 50, seed: 'test', inputs: new Map(), ...options })
}

export interface Played {
  readonly run: Run
  readonly records: readonly StepRecord[]
  readonly events: readonly EngineEvent[]
  readonly requests: readonly EffectRequest[]
}

export type Answers = (request: EffectRequest) => EffectOutcome

/** Plays a run to its end; effects are answered in the order in which they are asked for. */
export function play(run: Run, answers: Answers = noAnswers): Played {
  const records: StepRecord[] = []
  const events: EngineEvent[] = []
  const requests: EffectRequest[] = []
  for (let place = 0; ; place++) {
    const progress = run.advance()
    records.push(...progress.records.filter(record => record.kind === 'step'))
    events.push(...progress.events)
    requests.push(...progress.effects)
    const request = requests[place]
    if (progress.end !== null || request === undefined) return { run, records, events, requests }
    run.resolve(request.key, answers(request))
  }
}

export function answer(value: unknown): EffectOutcome {
  return { ok: true, value: fromPlain(value) }
}

export function refuse(name: string, message: string): EffectOutcome {
  return { ok: false, error: { name, message } }
}

function noAnswers(request: EffectRequest): EffectOutcome {
  throw new Error(`Nobody answers ${request.effect.type}.`)
}

/** A concept's cells; null without a reference. */
export function dataOf(run: Run, concept: string): Value {
  return run.reference(concept)?.data ?? null
}

/** A paradigm file from its tools (`tool.affordance` to call code), steps and plan. */
export function paradigmFile(file: {
  readonly tools: Readonly<Record<string, string>>
  readonly steps: readonly (readonly [affordance: string, key: string, params?: object])[]
  readonly plan: readonly object[]
  readonly returns: string
}): object {
  const tools = Object.entries(file.tools).map(([name, code]) => {
    const [tool = '', affordance = ''] = name.split('.')
    return { tool_name: tool, affordances: [{ affordance_name: affordance, call_code: code }] }
  })
  const compose = "result = tool.compose(plan=params['plan'], return_key=params.get('return_key'))"
  const composer = {
    tool_name: 'composition_tool',
    affordances: [{ affordance_name: 'compose', call_code: compose }],
  }
  const steps = file.steps.map(([affordance, key, params = {}], place) => ({
    step_index: place + 1,
    affordance,
    params,
    result_key: key,
  }))
  const last = {
    step_index: steps.length + 1,
    affordance: 'composition_tool.compose',
    params: { plan: file.plan, return_key: file.returns },
    result_key: 'instruction_fn',
  }
  return { env_spec: { tools: [...tools, composer] }, sequence_spec: { steps: [...steps, last] } }
}

export function meta(key: string): object {
  return { __type__: 'MetaValue', key }
}

/** A paradigm that asks the model with its first input and wraps the answer. */
export const askModel = paradigmFile({
  tools: {
    'llm.generate': 'result = tool.generate',
    'formatter_tool.get': 'result = tool.get',
    'formatter_tool.wrap': 'result = tool.wrap',
  },
  steps: [
    ['llm.generate', 'ask'],
    ['formatter_tool.get', 'get'],
    ['formatter_tool.wrap', 'wrap'],
  ],
  plan: [
    {
      output_key: 'prompt',
      function: meta('get'),
      params: { dictionary: '__initial_input__' },
      literal_params: { key: 'input_1' },
    },
    { output_key: 'answer', function: meta('ask'), params: { __positional__: 'prompt' } },
    { output_key: 'result', function: meta('wrap'), params: { data: 'answer' }, literal_params: { type: 'literal' } },
  ],
  returns: 'result',
})
