import { compileToFiles } from '@slipway/engine/plan/compile'
import { packPlan } from '@slipway/engine/plan/pack'

export interface SmallStep {
  readonly flowIndex: string
  /** The concept that the step infers. */
  readonly gives: string
  readonly takes: readonly string[]
  readonly paradigm: string
  /** The file of the function concept: a prompt or a script below `provisions/`. */
  readonly file?: string
  /** Further keys of its working interpretation. */
  readonly settings?: Readonly<Record<string, unknown>>
}

export interface SmallPlan {
  readonly name: string
  readonly version?: string
  /** Ground concepts that a run has to give. */
  readonly inputs?: readonly string[]
  /** Ground concepts with their value. */
  readonly given?: Readonly<Record<string, unknown>>
  readonly finals: readonly string[]
  readonly steps: readonly SmallStep[]
  readonly files?: Readonly<Record<string, string>>
}

/** A package made of a few steps, as a zip. */
export function smallPlan(plan: SmallPlan): Uint8Array {
  const { inputs = [], given = {}, finals, steps, files = {} } = plan
  const values = new Set([...inputs, ...Object.keys(given), ...steps.flatMap(step => [step.gives, ...step.takes])])
  const concepts = [
    ...[...values].map(name => ({
      concept_name: name,
      type: '{}',
      is_ground_concept: inputs.includes(name) || name in given,
      is_final_concept: finals.includes(name),
      reference_data: name in given ? given[name] : null,
      reference_axis_names: ['_none_axis'],
    })),
    ...steps.map(step => ({
      concept_name: functionName(step),
      type: '({})',
      is_ground_concept: true,
      reference_data: [step.file === undefined ? '%{dummy}(_)' : signOf(step.file)],
      reference_axis_names: ['_none_axis'],
    })),
  ]
  const inferences = steps.map(step => ({
    inference_sequence: 'imperative_in_composition',
    concept_to_infer: step.gives,
    function_concept: functionName(step),
    value_concepts: step.takes,
    flow_info: { flow_index: step.flowIndex },
    working_interpretation: {
      paradigm: step.paradigm,
      value_order: Object.fromEntries(step.takes.map((name, index) => [name, index + 1])),
      ...step.settings,
    },
  }))
  const manifest = {
    name: plan.name,
    version: plan.version ?? '1.0.0',
    entry: { concepts: 'concept_repo.json', inferences: 'inference_repo.json' },
    inputs: Object.fromEntries(inputs.map(name => [name, { type: 'any', required: true }])),
  }
  const texts = {
    'manifest.json': JSON.stringify(manifest),
    'concept_repo.json': JSON.stringify(concepts),
    'inference_repo.json': JSON.stringify(inferences),
    ...files,
  }
  return packPlan(new Map(Object.entries(texts).map(([path, text]) => [path, new TextEncoder().encode(text)])))
}

function functionName(step: SmallStep): string {
  return `::(do ${step.flowIndex})`
}

function signOf(file: string): string {
  return `%{${file.endsWith('.py') ? 'script_location' : 'prompt_location'}}abc(${file})`
}

const runScript = 'v_ScriptLocation-h_Literal-c_Execute-o_Literal'

/** One step that runs `code`, whose `main` takes `input_1`. */
export function scriptPlan(name: string, code: string, settings: Readonly<Record<string, unknown>> = {}): Uint8Array {
  const file = 'provisions/scripts/main.py'
  const step = { flowIndex: '1', gives: '{answer}', takes: ['{question}'], paradigm: runScript, file, settings }
  return smallPlan({ name, inputs: ['{question}'], finals: ['{answer}'], steps: [step], files: { [file]: code } })
}

/** Scripts one after the other; each adds its line to `count.txt` and gives the number of lines. */
export function countingPlan(name: string, steps: number): Uint8Array {
  const file = 'provisions/scripts/count.py'
  const code = [
    'import os',
    'def main(input_1, **kwargs):',
    '    path = "count.txt"',
    '    with open(path, "a") as out:',
    '        out.write("x\\n")',
    '    return len(open(path).read().splitlines())',
  ].join('\n')
  return smallPlan({
    name,
    given: { '{c0}': ['start'] },
    finals: [`{c${steps}}`],
    steps: Array.from({ length: steps }, (_, index) => ({
      flowIndex: `1.${index + 1}`,
      gives: `{c${index + 1}}`,
      takes: [`{c${index}}`],
      paradigm: runScript,
      file,
    })),
    files: { [file]: `${code}\n` },
  })
}

/** Asks a model once. */
export function promptPlan(
  name: string,
  paradigm = 'v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal',
): Uint8Array {
  const file = 'provisions/prompts/ask.md'
  const step = { flowIndex: '1', gives: '{answer}', takes: ['{question}'], paradigm, file }
  const prompt = 'Answer this: $input_1\n\nReturn JSON: {"thinking": "...", "result": "..."}\n'
  return smallPlan({ name, inputs: ['{question}'], finals: ['{answer}'], steps: [step], files: { [file]: prompt } })
}

/** Asks a person once. */
export function personPlan(name: string): Uint8Array {
  const step = { flowIndex: '1', gives: '{answer}', takes: ['{question}'], paradigm: 'h_UserPrompt-c_Ask-o_Normal' }
  return smallPlan({ name, inputs: ['{question}'], finals: ['{answer}'], steps: [step] })
}

/** Passes its input on. */
export function echoPlan(name: string, options: { readonly version?: string } = {}): Uint8Array {
  const step = { flowIndex: '1', gives: '{echo}', takes: ['{spoken word}'], paradigm: 'h_Data-c_PassThrough-o_Normal' }
  return smallPlan({ name, ...options, inputs: ['{spoken word}'], finals: ['{echo}'], steps: [step] })
}

/** Asks a model in each of `steps` steps, each about the answer of the one before. */
export function chainPlan(
  name: string,
  steps: number,
  { version, prompts = {} }: { readonly version?: string; readonly prompts?: Readonly<Record<number, string>> } = {},
): Uint8Array {
  const numbers = Array.from({ length: steps }, (_, index) => index + 1)
  const file = (n: number): string => `provisions/prompts/step-${n}.md`
  return smallPlan({
    name,
    ...(version !== undefined && { version }),
    inputs: ['{c0}'],
    finals: [`{c${steps}}`],
    steps: numbers.map(n => ({
      flowIndex: `1.${n}`,
      gives: `{c${n}}`,
      takes: [`{c${n - 1}}`],
      paradigm: 'v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal',
      file: file(n),
    })),
    files: Object.fromEntries(numbers.map(n => [file(n), prompts[n] ?? `Step ${n} of $input_1\n`])),
  })
}

/** Goes over `[items]` and asks a model about each. */
export function loopPlan(name: string): Uint8Array {
  const source = [
    ':<:{answers}',
    '    <= &[#] %>[[copies]] %-[[item, value]]',
    '    <- [copies]',
    '        | %{ref_axes}: [item]',
    '        <= *. %>([items]) %<({copy}) %:({item}) %@(1)',
    '            | %{group_base}: [items]',
    '            <= $. %>({copy})',
    '            <- {copy}',
    '                <= ::(ask about the item)',
    '                    | %{norm_input}: v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal',
    '                    | %{v_input_provision}: provisions/prompts/ask.md',
    '                    | %{body_faculty}: llm',
    '                <- {item}<:{1}>',
    '        <- [items]',
    '            | %{ref_axes}: [item]',
    '        <* {item}<$([items])*>',
  ].join('\n')
  const manifest = {
    name,
    version: '1.0.0',
    entry: { concepts: 'concept_repo.json', inferences: 'inference_repo.json' },
    inputs: { '[items]': { type: 'list', required: true } },
    execution: { max_cycles: 100_000 },
  }
  const texts = [
    ...compileToFiles(source).files,
    ['manifest.json', JSON.stringify(manifest)],
    ['provisions/prompts/ask.md', 'Say something about $input_1.'],
  ] as const
  return packPlan(new Map(texts.map(([path, text]) => [path, new TextEncoder().encode(text)])))
}
