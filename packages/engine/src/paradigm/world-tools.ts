import { dumpJson } from '#value/json-write'
import { str } from '#value/python-repr'
import { isList, PyDict, type Value } from '#value/value'
import { perform, type Step } from '#sequence/step'
import { templateFunction } from './formatter-tool.ts'
import { asDict, asText, asValue, Callable, PromptTemplate, type Arguments, type Operand } from './operand.ts'
import { attempt, tool, type ToolContext } from './tools.ts'

/** Tools that reach outside. Every call of theirs to the world is an effect; what it means to the plan stands here. */

export const fileSystem = tool('files', {
  read: { parameters: ['location|path|filepath'], step: ({ values, context }) => readFile(values[0], context) },
  exists: {
    parameters: ['location|path|filepath'],
    *step({ values }) {
      return yield* perform({ type: 'file.exists', path: str(asValue(values[0], 'The path')) })
    },
  },
  save: {
    parameters: ['content', 'location|path|filepath'],
    step: ({ values, context }) => saveFile(values[0], values[1], context),
  },
  write: {
    parameters: ['path|location|filepath', 'content'],
    step: ({ values, context }) => saveFile(values[1], values[0], context),
  },
  save_from_dict: {
    parameters: ['content_dict', 'directory'],
    step: ({ values }) => saveFromDict(values[0], values[1]),
  },
})

export function* readFile(location: Operand | undefined, context: ToolContext): Step<Operand> {
  const path = str(asValue(location, 'The path'))
  const read = yield* attempt({ type: 'file.read', path })
  if ('message' in read) return failure(read.message)
  if (typeof read.value === 'string') context.origins.set(read.value, path)
  return PyDict.from({ status: 'success', content: asValue(read.value, 'The file') })
}

export function* saveFile(
  content: Operand | undefined,
  location: Operand | undefined,
  context: ToolContext,
): Step<Operand> {
  const value = asValue(content, 'The content')
  const path = asValue(location, 'The location')
  if (value === null) return failure('Content is None; nothing was saved.')
  if (path === null || path === '') return failure('No location was given to save to.')
  const text = savedText(value)
  if (text === null) return failure('Content must be a string, a list or a dictionary.')
  const written = yield* attempt({ type: 'file.write', path: str(path), content: text })
  if ('message' in written) return failure(written.message)
  context.origins.set(text, str(path))
  return PyDict.from({ status: 'success', location: asValue(written.value, 'The location') })
}

function savedText(value: Value): string | null {
  if (typeof value === 'string') return value
  return isList(value) || value instanceof PyDict ? dumpJson(value, { indent: 2, ascii: false }) : null
}

export function* saveFromDict(content: Operand | undefined, directory: Operand | undefined): Step<Operand> {
  const files = asValue(content, 'The content')
  const folder = asValue(directory, 'The directory')
  if (!(files instanceof PyDict)) return failure('Content must be a dictionary of file name to content.')
  if (folder === null) return failure('No directory was given to save to.')
  const base = str(folder).replace(/[\\/]+$/, '')
  const locations: Value[] = []
  for (const [name, value] of files.entries()) {
    const text = typeof value === 'string' ? value : dumpJson(value, { indent: 2 })
    const path = base === '' ? str(name) : `${base}/${str(name)}`
    const written = yield* attempt({ type: 'file.write', path, content: text })
    if ('message' in written) return failure(written.message)
    locations.push(asValue(written.value, 'The location'))
  }
  return PyDict.from({ status: 'success', saved_locations: locations, saved_location: locations[0] ?? null })
}

function failure(message: string): PyDict {
  return PyDict.from({ status: 'error', message })
}

export const llm = tool('models', {
  generate: {
    parameters: ['prompt'],
    rest: true,
    *step({ values, args }) {
      const json = args.named.get('response_format') ?? null
      const prompt = str(asValue(values[0], 'The prompt'))
      return yield* perform({ type: 'model.generate', prompt, json: json !== null })
    },
  },
})

export const promptTool = tool('nothing', {
  read: {
    parameters: ['template_name'],
    *step({ values }) {
      return yield* readPrompt(asText(values[0], 'The name of the prompt'))
    },
  },
  create_template_function: {
    parameters: ['template'],
    pure: ({ values }) => templateFunction(templateText(values[0])),
  },
})

/** Prompt files that need not exist, because paradigms of every plan may name them. */
const builtInPrompts: ReadonlyMap<string, string> = new Map([
  ['translation', 'Translate this concept into one clear sentence of everyday language:\n$input_1\n'],
  ['instruction_with_buffer_record', 'Carry out this instruction:\n$input_1\n\nWhat is known so far:\n$record\n'],
])

export function* readPrompt(name: string): Step<PromptTemplate> {
  const builtIn = builtInPrompts.get(name)
  if (builtIn !== undefined) return new PromptTemplate(builtIn)
  return new PromptTemplate(str(yield* perform({ type: 'file.read', path: name })))
}

export function templateText(template: Operand | undefined): string {
  return template instanceof PromptTemplate ? template.text : asText(template, 'The template')
}

export const pythonInterpreter = tool('scripts', {
  create_function_executor: {
    parameters: ['script_code|script', 'function_name?'],
    pure: call =>
      new Callable('python_interpreter.executor', args =>
        callScript(call.context, { code: call.values[0], name: call.values[1], params: executorParams(args) }),
      ),
  },
  function_execute: {
    parameters: ['script_code|script', 'function_name?', 'function_params?'],
    step: call => callScript(call.context, { code: call.values[0], name: call.values[1], params: call.values[2] }),
  },
  execute: {
    parameters: ['script_code|script', 'inputs?'],
    *step({ values, context }) {
      const code = asText(values[0], 'The script')
      const globals = asDict(values[1] ?? new PyDict(), 'The inputs of the script')
      const path = context.origins.get(code) ?? ''
      const outcome = yield* attempt({ type: 'script.execute', path, code, globals })
      return 'message' in outcome ? failure(outcome.message) : outcome.value
    },
  },
})

function executorParams(args: Arguments): Operand {
  return args.positional[0] ?? args.named.get('function_params') ?? args.named.get('params') ?? namedDict(args)
}

function namedDict(args: Arguments): PyDict {
  return PyDict.of([...args.named].map(([key, value]) => [key, asValue(value, key)] as const))
}

/** An exception of the script is a value that the plan goes on with, as its authors rely on. */
export function* callScript(
  context: ToolContext,
  script: {
    readonly code: Operand | undefined
    readonly name: Operand | undefined
    readonly params: Operand | undefined
  },
): Step<Operand> {
  const code = asText(script.code, 'The script')
  const functionName = script.name === undefined ? 'main' : asText(script.name, 'The name of the function')
  const args = asDict(script.params ?? new PyDict(), 'The inputs of the script')
  const path = context.origins.get(code) ?? ''
  const outcome = yield* attempt({ type: 'script.call', path, code, functionName, args, withBody: true })
  return 'message' in outcome ? failure(outcome.message) : outcome.value
}

export const chat = tool('people', {
  read_message: { parameters: [], pure: () => new Callable('chat.read_message', () => perform({ type: 'chat.read' })) },
  write_message: {
    parameters: ['message'],
    step: ({ values }) => perform({ type: 'chat.write', message: asValue(values[0], 'The message') }),
  },
  close_session: {
    parameters: [],
    pure: () => new Callable('chat.close_session', () => perform({ type: 'chat.close' })),
  },
})

export const canvas = tool('people', {
  execute_command: {
    parameters: ['command_type', 'command_params?'],
    step: ({ values }) =>
      perform({
        type: 'canvas.execute',
        command: asValue(values[0], 'The command'),
        params: asValue(values[1], 'The parameters of the command'),
      }),
  },
})
