import type { Interaction } from '#run/effects'
import { perform, type Step } from '#sequence/step'
import { str } from '#value/python-repr'
import { PyDict, PyError, type Value } from '#value/value'
import { asValue, Callable, type Arguments, type Operand } from './operand.ts'
import { tool } from './tools.ts'

/** Questions to people. A function asks with the texts it is called with; the rest is configured when it is made. */
export const userInput = tool('people', {
  create_input_function: {
    parameters: ['prompt_key?'],
    pure: ({ values }) => askFunction('simple_text', textKeys(values[0] ?? 'prompt_text')),
  },
  create_text_editor_function: {
    parameters: ['prompt_key?', 'initial_text_key?'],
    pure: ({ values }) => askFunction('text_editor', textKeys(values[0] ?? 'prompt_text', values[1] ?? 'initial_text')),
  },
  create_interaction: {
    parameters: ['interaction_type?'],
    rest: true,
    pure: ({ values, args }) => {
      const type = interactionType(asValue(values[0] ?? 'simple_text', 'The type of the interaction'))
      const named = [...args.named].filter(([key]) => key !== 'interaction_type')
      return askFunction(type, PyDict.of(named.map(([key, value]) => [key, asValue(value, key)] as const)))
    },
  },
})

const interactionTypes: readonly Interaction['type'][] = ['simple_text', 'text_editor', 'confirm', 'multi_file_input']

function interactionType(value: Value): Interaction['type'] {
  const type = interactionTypes.find(known => known === value)
  if (type !== undefined) return type
  throw new PyError('ValueError', `There is no interaction called ${str(value)}.`)
}

function textKeys(promptKey: Operand, initialTextKey?: Operand): PyDict {
  const keys = PyDict.from({ prompt_key: asValue(promptKey, 'prompt_key') })
  return initialTextKey === undefined
    ? keys
    : keys.with('initial_text_key', asValue(initialTextKey, 'initial_text_key'))
}

/** The function of an interaction: called with texts by name, or with one object in which the configured keys are. */
export function askFunction(type: Interaction['type'], options: PyDict): Callable {
  return new Callable(`user_input.${type}`, args => ask({ type, options }, args))
}

function* ask(configured: { type: Interaction['type']; options: PyDict }, args: Arguments): Step<Operand> {
  const { type, options } = configured
  const [given] = args.positional
  const read = (key: string, name: string): Value => {
    const named = args.named.get(name)
    if (named !== undefined) return asValue(named, name)
    const place = options.get(key) ?? name
    if (given instanceof PyDict) return given.get(place) ?? null
    return name === 'prompt_text' && given !== undefined ? asValue(given, name) : null
  }
  const prompt = read('prompt_key', 'prompt_text')
  const initial = read('initial_text_key', 'initial_text')
  const directory = options.get('initial_directory') ?? null
  return yield* perform({
    type: 'input.ask',
    interaction: {
      type,
      prompt: prompt === null ? '' : str(prompt),
      initialText: initial === null ? undefined : str(initial),
      initialDirectory: directory === null ? undefined : str(directory),
      options,
    },
  })
}
