import { stripSign } from '#reference/sign'
import { perform, type Step } from '#sequence/step'
import { str } from '#value/python-repr'
import { safeSubstitute } from '#value/template'
import { isTruthy } from '#value/truth'
import type { Value } from '#value/value'
import { cleanCode, collectScriptInputs, getEntry, jsonLoads, parse, wrapList } from '../formatter.ts'
import { asValue, type Operand } from '../operand.ts'
import { callScript, readFile, readPrompt, saveFile, templateText } from '../world-tools.ts'
import { inputAt, native, prepared, wrapped, type NativeCall } from './native.ts'

/** What most plans do most of the time: ask a model, run a script, read or write a file, pass a value on. */
export const everydayParadigms = [
  prepared('v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal', ['models'], function* (vertical) {
    return yield* asking(vertical, (call, answer) => wrapped(call, getEntry(answer, 'result'), 'literal'), parse)
  }),
  prepared('v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Boolean', ['models'], function* (vertical) {
    return yield* asking(vertical, (call, answer) => wrapped(call, getEntry(answer, 'result'), 'truth_value'), parse)
  }),
  prepared('v_Prompt-h_Data-c_ThinkJSON-o_Normal', ['models'], function* (vertical) {
    return yield* asking(vertical, (call, answer) => wrapped(call, getEntry(answer, 'answer')), jsonLoads)
  }),
  prepared('v_ScriptLocation-h_Literal-c_Execute-o_Literal', ['files', 'scripts'], running(wrapLiteral)),
  prepared('v_ScriptLocation-h_Literal-c_Execute-o_Boolean', ['files', 'scripts'], running(wrapTruth)),
  prepared('v_ScriptLocation-h_Literal-c_Execute-o_ListLiteral', ['files', 'scripts'], running(wrapItems)),
  prepared('v_Script-h_Data-c_Execute-o_Normal', ['files', 'scripts'], running(wrapped, collectScriptInputs)),
  native('h_LiteralPath-c_ReadFile-o_Literal', ['files'], function* (call) {
    const read = asValue(yield* readFile(inputAt(call, 'input_1'), call.context), 'The file')
    return wrapLiteral(call, getEntry(read, 'content'))
  }),
  native('h_LiteralPath-c_ReadFileIfExists-o_Literal', ['files'], function* (call) {
    const path = inputAt(call, 'input_1')
    const exists = yield* perform({ type: 'file.exists', path: str(path) })
    if (!isTruthy(exists)) yield* saveFile('', path, call.context)
    const read = asValue(yield* readFile(path, call.context), 'The file')
    return wrapLiteral(call, getEntry(read, 'content', ''))
  }),
  native('h_LiteralPath-h_Literal-c_WriteFile-o_Literal', ['files'], function* (call) {
    const saved = yield* saveFile(inputAt(call, 'input_2'), inputAt(call, 'input_1'), call.context)
    return wrapLiteral(call, asValue(saved, 'The confirmation'))
  }),
  native('h_FileData-c_LoadParse-o_Normal', ['files'], function* (call) {
    const read = asValue(yield* readFile(inputAt(call, 'input_1'), call.context), 'The file')
    return wrapped(call, jsonLoads(getEntry(read, 'content')))
  }),
  native('h_Data-c_PassThrough-o_Normal', [], function* (call) {
    return wrapped(call, inputAt(call, 'input_1'))
  }),
]

type Work = (call: NativeCall) => Step<Operand>

/** The prompt file is read once, before any input is there; a missing one therefore fails the step. */
function* asking(
  vertical: string,
  result: (call: NativeCall, answer: Value) => Value,
  read: (text: string) => Value,
): Step<Work> {
  const template = templateText(yield* readPrompt(str(stripSign(vertical))))
  return function* (call) {
    const prompt = safeSubstitute(template, call.input)
    const response = yield* perform({ type: 'model.generate', prompt, json: false })
    return result(call, read(cleanCode(response, call.context.dialect)))
  }
}

function running(
  result: (call: NativeCall, value: Value) => Operand,
  inputsOf: (input: NativeCall['input']) => NativeCall['input'] = input => input,
): (vertical: string, context: NativeCall['context']) => Step<Work> {
  return function* (vertical, context) {
    const path = str(stripSign(vertical))
    const code = str(yield* perform({ type: 'file.read', path }))
    context.origins.set(code, path)
    return function* (call) {
      const params = inputsOf(call.input)
      return result(call, asValue(yield* callScript(call.context, { code, name: 'main', params }), 'The result'))
    }
  }
}

function wrapLiteral(call: NativeCall, value: Value): Value {
  return wrapped(call, value, 'literal')
}

function wrapTruth(call: NativeCall, value: Value): Value {
  return wrapped(call, value, 'truth_value')
}

function wrapItems(call: NativeCall, value: Value): Value {
  return wrapList(value, 'literal', call.context.nextSignId)
}
