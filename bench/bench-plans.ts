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

/** The package as a zip. */
export function packed(plan: BenchPlan): Uint8Array {
  return packPlan(plan.files)
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

function fillParadigmFile(): object {
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
        tool('prompt_tool', 'create_template_function', "create_template_function(template=params['template'])"),
        tool('formatter_tool', 'wrap', 'wrap'),
        tool('composition_tool', 'compose', "compose(plan=params['plan'], return_key=params.get('return_key'))"),
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

/** The files below a folder by path with forward slashes. */
export function filesOf(folder: string): Map<string, Uint8Array> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  const files = paths.filter(path => statSync(join(folder, path)).isFile())
  return new Map(files.map(path => [path.replaceAll('\\', '/'), readFileSync(join(folder, path))]))
}
