import { PyDict, type Value } from '#value/value'
import type { Interaction } from '#run/effects'
import type { Step } from '#sequence/step'
import { askFunction } from '../ask-tools.ts'
import { wrapList } from '../formatter.ts'
import { asValue } from '../operand.ts'
import { saveFile } from '../world-tools.ts'
import { inputAt, native, wrapped } from './native.ts'

/** Paradigms that ask people. */
export const askParadigms = [
  native('h_UserPrompt-c_Ask-o_Normal', ['people'], function* (call) {
    return wrapped(call, yield* askText(inputAt(call, 'input_1')))
  }),
  native('h_UserPrompt-c_AskForFilePath-o_FileLocation', ['people'], function* (call) {
    return wrapped(call, yield* askText(inputAt(call, 'input_1')), 'file_location')
  }),
  native('h_UserPrompt-c_AskForConfirmation-o_Boolean', ['people'], function* (call) {
    const options = PyDict.from({ default: true })
    return yield* ask('confirm', options, { prompt_text: inputAt(call, 'input_1') })
  }),
  native('h_UserPrompt-c_AskForMultipleFiles-o_FileLocationList', ['people'], function* (call) {
    const options = PyDict.from({ initial_directory: '.' })
    const files = yield* ask('multi_file_input', options, { prompt_text: inputAt(call, 'prompt_template') })
    return wrapList(files, 'file_location', call.context.nextSignId)
  }),
  native('h_InitialText-c_EditText-o_Normal', ['people'], function* (call) {
    return wrapped(call, yield* editText(inputAt(call, 'input_1'), inputAt(call, 'input_2')), 'normal')
  }),
  native('h_InitialText_SavePath-c_EditText_Save-o_FileLocation', ['people', 'files'], function* (call) {
    const path = inputAt(call, 'save_path')
    const text = yield* editText(inputAt(call, 'input_1'), inputAt(call, 'input_2'))
    yield* saveFile(text, path, call.context)
    return wrapped(call, path, 'file_location')
  }),
]

function askText(prompt: Value): Step<Value> {
  return ask('simple_text', PyDict.from({ prompt_key: 'prompt_text' }), { prompt_text: prompt })
}

function editText(prompt: Value, initial: Value): Step<Value> {
  const options = PyDict.from({ prompt_key: 'prompt_text', initial_text_key: 'initial_text' })
  return ask('text_editor', options, { prompt_text: prompt, initial_text: initial })
}

function* ask(type: Interaction['type'], options: PyDict, texts: Readonly<Record<string, Value>>): Step<Value> {
  const named = new Map(Object.entries(texts))
  return asValue(yield* askFunction(type, options).call({ positional: [], named }), 'The answer')
}
