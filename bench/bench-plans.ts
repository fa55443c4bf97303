import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { compileToFiles } from '@slipway/engine/plan/compile'
import { packPlan } from '@slipway/engine/plan/pack'

/** A package of a plan and what a run of it is given. */
export interface BenchPlan {
  readonly id: string
  readonly files: ReadonlyMap<string, Uint8Array>
  readonly inputs: Readonly<Record<string, unknown>>
}

export const longAddition: BenchPlan = {
  id: 'long-addition',
  files: filesOf('examples/plans/long-addition'),
  inputs: { 'first number': '123456789012', 'second number': '987654321098' },
}

/** Goes over a list and hands each item on: nothing of it reaches the outside, so the whole run is one decision. */
export function copyLoop(items: number): BenchPlan {
  return loopPlan('copy-loop', items, { step: ['<= $. %>({item})', '<- {item}'], files: new Map() })
}

/**
 * Goes over a list and fills a text with each item. Every filling reads the text's file again, and each answer is on
 * disk before the step sees it: what is left of a real plan when models and scripts take no time.
 */
export function fillLoop(items: number): BenchPlan {
  const step = [
    '<= ::(fill the text with the item)',
    `    | %{norm_input}: ${fillParadigm}`,
    '    | %{v_input_provision}: provisions/prompts/line.md',
    '    | %{body_faculty}: llm',
    '<- {item}<:{1}>',
  ]
  const files = new Map([
    ['provisions/prompts/line.md', 'The item is $input_1.'],
    [`provisions/paradigms/${fillParadigm}.json`, JSON.stringify(fillParadigmFile())],
  ])
  return loopPlan('fill-loop', items, { step, files })
}

/**
 * A chain of steps, each of which asks a model once and nothing else, with the answer of the step before in its
 * prompt. A run may be given a large text, which stays among its values and which no step takes or changes.
 */
export function modelChain(steps: number): BenchPlan {
  const chain = Array.from({ length: steps }, (_, step) => ({
    gives: `{answer ${step + 1}}`,
    takes: `{answer ${step}}`,
    paradigm: modelParadigm,
  }))
  return chainPlan(
    `model-chain-${steps}`,
    chain,
    modelParadigmFile('Answer with only one word: yes or no.\n\nThe text: $input_1'),
  )
}

/** Asks a person once. */
export const personPlan: BenchPlan = chainPlan('person', [
  { gives: '{answer 1}', takes: '{answer 0}', paradigm: 'h_UserPrompt-c_Ask-o_Normal' },
])

/** The package as a zip. */
export function packed(plan: BenchPlan): Uint8Array {
  return packPlan(plan.files)
}

const modelParadigm = 'h_Literal-c_GenerateOnce-o_Literal'

interface ChainStep {
  readonly gives: string
  readonly takes: string
  readonly paradigm: string
}

function chainPlan(id: string, steps: readonly ChainStep[], paradigm?: object): BenchPlan {
  const value = (name: string, isGround: boolean): object => ({
    concept_name: name,
    type: '{}',
    is_ground_concept: isGround,
    is_final_concept: name === steps.at(-1)?.gives,
    reference_data: null,
    reference_axis_names: ['_none_axis'],
  })
  const work = (index: number): object => ({
    concept_name: `::(step ${index + 1})`,
    type: '({})',
    is_ground_concept: true,
    reference_data: ['%{dummy}(_)'],
    reference_axis_names: ['_none_axis'],
  })
  const concepts = [
    value('{answer 0}', true),
    value('{large text}', true),
    ...steps.flatMap((step, index) => [value(step.gives, false), work(index)]),
  ]
  const inferences = steps.map((step, index) => ({
    inference_sequence: 'imperative_in_composition',
    concept_to_infer: step.gives,
    function_concept: `::(step ${index + 1})`,
    value_concepts: [step.takes],
    flow_info: { flow_index: `1.${index + 1}` },
    working_interpretation: { paradigm: step.paradigm, value_order: { [step.takes]: 1 } },
  }))
  const manifest = {
    name: id,
    version: '1.0.0',
    entry: { concepts: 'concept_repo.json', inferences: 'inference_repo.json' },
    inputs: { '{answer 0}': { type: 'any', required: true }, '{large text}': { type: 'any', required: true } },
    execution: { max_cycles: 100_000 },
  }
  const texts = new Map<string, object>([
    ['manifest.json', manifest],
    ['concept_repo.json', concepts],
    ['inference_repo.json', inferences],
  ])
  if (paradigm) texts.set(`provisions/paradigms/${modelParadigm}.json`, paradigm)
  return {
    id,
    files: new Map([...texts].map(([path, json]) => [path, new TextEncoder().encode(JSON.stringify(json))])),
    inputs: { '{answer 0}': 'start', '{large text}': '' },
  }
}

const fillParadigm = 'v_PromptLocation-h_Literal-c_Fill-o_Literal'

function loopPlan(
  id: string,
  items: number,
  { step, files }: { readonly step: readonly string[]; readonly files: ReadonlyMap<string, string> },
): BenchPlan {
  const source = [
    ':<:{lines}',
    '    <= &[#] %>[[copies]] %-[[item, value]]',
    '    <- [copies]',
    '        | %{ref_axes}: [item]',
    '        <= *. %>([items]) %<({copy}) %:({item}) %@(1)',
    '            | %{group_base}: [items]',
    '            <= $. %>({copy})',
    '            <- {copy}',
    ...step.map(line => `                ${line}`),
    '        <- [items]',
    '            | %{ref_axes}: [item]',
    '        <* {item}<$([items])*>',
  ].join('\n')
  const compiled = compileToFiles(source)
  const manifest = {
    name: id,
    version: '1.0.0',
    entry: { concepts: 'concept_repo.json', inferences: 'inference_repo.json' },
    inputs: { '[items]': { type: 'list', required: true } },
    execution: { max_cycles: 100_000 },
  }
  const texts = [['manifest.json', JSON.stringify(manifest)] as const, ...compiled.files, ...files]
  return {
    id,
    files: new Map(texts.map(([path, text]) => [path, new TextEncoder().encode(text)])),
    inputs: { '[items]': { data: Array.from({ length: items }, (_, item) => `item ${item}`), axes: ['item'] } },
  }
}

const state = (key: string): object => ({ __type__: 'MetaValue', key })

const tool = (name: string, affordance: string, code: string): object => ({
  tool_name: name,
  affordances: [{ affordance_name: affordance, call_code: `result = tool.${code}` }],
})

const stage = (index: number, affordance: string, params: object, key: string): object => ({
  step_index: index,
  affordance,
  params,
  result_key: key,
})

const compose = tool('composition_tool', 'compose', "compose(plan=params['plan'], return_key=params.get('return_key'))")
const createTemplate = tool(
  'prompt_tool',
  'create_template_function',
  "create_template_function(template=params['template'])",
)

function fillParadigmFile(): object {
  const plan = [
    { output_key: 'text', function: state('fill_fn'), params: { __positional__: '__initial_input__' } },
    {
      output_key: 'wrapped',
      function: state('wrap_fn'),
      params: { __positional__: 'text' },
      literal_params: { type: 'literal' },
    },
  ]
  return {
    metadata: { description: 'Fills a text file with the inputs.' },
    env_spec: {
      tools: [
        tool('perception_router', 'strip_sign', "strip_sign(params['token'])"),
        tool('prompt_tool', 'read_now', "read(params['template_name'])"),
        createTemplate,
        tool('formatter_tool', 'wrap', 'wrap'),
        compose,
      ],
    },
    sequence_spec: {
      steps: [
        stage(1, 'perception_router.strip_sign', { token: state('states.vertical') }, 'path'),
        stage(2, 'prompt_tool.read_now', { template_name: state('path') }, 'template'),
        stage(3, 'prompt_tool.create_template_function', { template: state('template') }, 'fill_fn'),
        stage(4, 'formatter_tool.wrap', {}, 'wrap_fn'),
        stage(5, 'composition_tool.compose', { plan, return_key: 'wrapped' }, 'instruction_fn'),
      ],
    },
  }
}

/** Its prompt is in the paradigm itself, so that the model is the only thing that is called. */
function modelParadigmFile(template: string): object {
  const plan = [
    { output_key: 'prompt', function: state('fill_fn'), params: { __positional__: '__initial_input__' } },
    { output_key: 'answer', function: state('generate_fn'), params: { __positional__: 'prompt' } },
    {
      output_key: 'wrapped',
      function: state('wrap_fn'),
      params: { __positional__: 'answer' },
      literal_params: { type: 'literal' },
    },
  ]
  return {
    metadata: { description: 'Asks a model once.' },
    env_spec: {
      tools: [createTemplate, tool('llm', 'generate', 'generate'), tool('formatter_tool', 'wrap', 'wrap'), compose],
    },
    sequence_spec: {
      steps: [
        stage(1, 'prompt_tool.create_template_function', { template }, 'fill_fn'),
        stage(2, 'llm.generate', {}, 'generate_fn'),
        stage(3, 'formatter_tool.wrap', {}, 'wrap_fn'),
        stage(4, 'composition_tool.compose', { plan, return_key: 'wrapped' }, 'instruction_fn'),
      ],
    },
  }
}

/** The files below a folder by path with forward slashes. */
export function filesOf(folder: string): Map<string, Uint8Array> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const files = paths.filter(path => statSync(join(folder, path)).isFile())
  return new Map(files.map(path => [path.replaceAll('\\', '/'), readFileSync(join(folder, path))]))
}
