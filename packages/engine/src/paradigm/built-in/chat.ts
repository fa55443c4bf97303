import { stripSign } from '#reference/sign'
import { perform, type Step } from '#sequence/step'
import { str } from '#value/python-repr'
import { safeSubstitute } from '#value/template'
import type { Value } from '#value/value'
import { cleanCode, getEntry, parse, parseBoolean } from '../formatter.ts'
import type { Operand } from '../operand.ts'
import { readPrompt, templateText } from '../world-tools.ts'
import { inputAt, native, prepared, wrapped, type NativeCall } from './native.ts'

/** Paradigms of plans that talk: with a person in the chat, with the canvas, and with a model about what was said. */
export const chatParadigms = [
  native('c_ChatRead-o_Literal', ['people'], function* (call) {
    return wrapped(call, yield* perform({ type: 'chat.read' }), 'literal')
  }),
  native('c_ChatSessionClose-o_Status', ['people'], function* (call) {
    return wrapped(call, yield* perform({ type: 'chat.close' }), 'literal')
  }),
  native('h_Response-c_ChatWrite-o_Status', ['people'], function* (call) {
    const message = stripSign(inputAt(call, 'input_1'))
    return wrapped(call, yield* perform({ type: 'chat.write', message }), 'literal')
  }),
  native('h_Command-c_CanvasExecute-o_Status', ['people'], function* (call) {
    const parsed = parse(stripSign(inputAt(call, 'input_1')))
    const [command, params] = [getEntry(parsed, 'type'), getEntry(parsed, 'params')]
    return wrapped(call, yield* perform({ type: 'canvas.execute', command, params }), 'literal')
  }),
  prepared('h_Memo-v_Prompt-c_LLMGenerate-o_Command', ['models'], vertical =>
    asking(vertical, (call, answer) => wrapped(call, parse(cleanCode(answer, call.context.dialect)), 'literal')),
  ),
  prepared('h_Memo-v_Prompt-c_LLMGenerate-o_Truth', ['models'], vertical =>
    asking(vertical, (call, answer) => wrapped(call, parseBoolean(answer, call.context.dialect), 'truth_value')),
  ),
  prepared('h_Message_Status-v_Prompt-c_LLMGenerate-o_Memo', ['models'], vertical =>
    asking(vertical, (call, answer) => wrapped(call, answer, 'literal')),
  ),
]

/** Reads the prompt once, then asks a model with it for every input. */
function* asking(
  vertical: string,
  result: (call: NativeCall, answer: Value) => Value,
): Step<(call: NativeCall) => Step<Operand>> {
  const template = templateText(yield* readPrompt(str(stripSign(vertical))))
  return function* (call) {
    const prompt = safeSubstitute(template, call.input)
    return result(call, yield* perform({ type: 'model.generate', prompt, json: false }))
  }
}
