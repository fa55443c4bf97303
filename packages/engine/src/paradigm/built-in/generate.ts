import { perform, type Step } from '#sequence/step'
import type { Value } from '#value/value'
import { cleanCode, getEntry, parse, smartSubstitute, substitute, wrapList } from '../formatter.ts'
import { asValue, type Operand } from '../operand.ts'
import type { Reach } from '../tools.ts'
import { saveFile, saveFromDict } from '../world-tools.ts'
import { inputAt, native, wrapped, type NativeCall } from './native.ts'

const reaches: readonly Reach[] = ['models', 'files']

/** Paradigms that let a model write files: its answer is JSON with the content under `answer`. */
export const generateParadigms = [
  native('h_PromptTemplate_SavePath-c_GenerateThinkJson-Extract-Save-o_FileLocation', reaches, function* (call) {
    const answer = yield* answerTo(call, substitute(call.input, 'prompt_template'))
    const saved = yield* saveFile(answer, inputAt(call, 'save_path'), call.context)
    return wrapped(call, getEntry(asValue(saved, 'The confirmation'), 'location'), 'file_location')
  }),
  native('h_PromptTemplate_SaveDir-c_GenerateThinkJson-Extract-Save-o_FileLocation', reaches, function* (call) {
    const saved = yield* saveAnswers(call, substitute(call.input, 'prompt_template'))
    return wrapped(call, getEntry(saved, 'saved_location'), 'file_location')
  }),
  native(
    'h_PromptTemplateInputOther_SaveDir-c_GenerateThinkJson-Extract-Save-o_FileLocation',
    reaches,
    function* (call) {
      const saved = yield* saveAnswers(call, smartSubstitute(call.input, 'prompt_template', 'input_other'))
      return wrapped(call, getEntry(saved, 'saved_location'), 'file_location')
    },
  ),
  native('h_PromptTemplateInputOther_SaveDir-c_GenerateThinkJson-Extract-Save-o_FileLocationList', reaches, locations),
  native('h_PromptTemplateWInputOther_SaveDir-c_GenerateThinkJson-Extract-Save-o_FileLocationList', reaches, locations),
]

function* locations(call: NativeCall): Step<Operand> {
  const saved = yield* saveAnswers(call, smartSubstitute(call.input, 'prompt_template', 'input_other'))
  return wrapList(getEntry(saved, 'saved_locations'), 'file_location', call.context.nextSignId)
}

function* saveAnswers(call: NativeCall, prompt: string): Step<Value> {
  const answer = yield* answerTo(call, prompt)
  return asValue(yield* saveFromDict(answer, inputAt(call, 'save_dir')), 'The confirmation')
}

function* answerTo({ context }: NativeCall, prompt: string): Step<Value> {
  const response = yield* perform({ type: 'model.generate', prompt, json: false })
  return getEntry(parse(cleanCode(response, context.dialect)), 'answer')
}
