import { perform, type Step } from '#sequence/step'
import { str } from '#value/python-repr'
import { safeSubstitute } from '#value/template'
import { isTruthy } from '#value/truth'
import type { Value } from '#value/value'
import { cleanCode, collectScriptInputs, getEntry, jsonLoads, substitute, wrapList } from '../formatter.ts'
import { asValue } from '../operand.ts'
import type { Reach } from '../tools.ts'
import { callScript, readFile, saveFile } from '../world-tools.ts'
import { inputAt, native, wrapped, type NativeCall } from './native.ts'

const reaches: readonly Reach[] = ['models', 'files', 'scripts']

/** Paradigms that run a script, and let a model write it first when it is not there yet. */
export const scriptParadigms = [
  native('h_PromptTemplate_ScriptLocation-c_Retrieve_or_GenerateThinkJson_ExtractPy_Execute-o_Normal', reaches, normal),
  native(
    'h_PromptTemplate_ScriptLocation-c_Retrieve_or_GenerateThinkJson_ExtractPy_ExecuteWBody-o_Normal',
    reaches,
    normal,
  ),
  native(
    'h_PromptTemplate_ScriptLocation-c_Retrieve_or_GenerateThinkJson_ExtractPy_ExecuteWBody-o_FileLocationList',
    reaches,
    function* (call) {
      const result = yield* runOrWrite(call, () => substitute(call.input, 'prompt_template'))
      return wrapList(result, 'file_location', call.context.nextSignId)
    },
  ),
  native(
    'v_PromptTemplate-h_ScriptLocation-c_Retrieve_or_GenerateThinkJson_ExtractPy_Execute-o_Normal',
    reaches,
    function* (call) {
      return wrapped(call, yield* runOrWrite(call, inputs => safeSubstitute(call.vertical, inputs)))
    },
  ),
]

function* normal(call: NativeCall): Step<Value> {
  return wrapped(call, yield* runOrWrite(call, () => substitute(call.input, 'prompt_template')))
}

/** The result of the script's `main`. `promptFor` gives the prompt that asks for the script. */
function* runOrWrite(
  call: NativeCall,
  promptFor: (inputs: ReturnType<typeof collectScriptInputs>) => string,
): Step<Value> {
  const location = inputAt(call, 'script_location')
  const inputs = collectScriptInputs(call.input)
  const exists = yield* perform({ type: 'file.exists', path: str(location) })
  const code = isTruthy(exists)
    ? getEntry(asValue(yield* readFile(location, call.context), 'The file'), 'content')
    : yield* writeScript(call, location, promptFor(inputs))
  if (typeof code === 'string' && typeof location === 'string') call.context.origins.set(code, location)
  return asValue(yield* callScript(call.context, { code, name: 'main', params: inputs }), 'The result')
}

function* writeScript({ context }: NativeCall, location: Value, prompt: string): Step<Value> {
  const response = yield* perform({ type: 'model.generate', prompt, json: false })
  const code = getEntry(jsonLoads(cleanCode(response, context.dialect)), 'answer')
  yield* saveFile(code, location, context)
  return code
}
