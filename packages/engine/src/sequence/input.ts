import type { InferenceEntry } from '#plan/repositories'
import { readKeyed } from '#reference/perception'
import { str } from '#value/python-repr'
import { PyDict, type Value } from '#value/value'
import { processElement } from './input-values.ts'
import { callPerCell, encodeCells } from './python.ts'
import type { PreparedSequence, StepContext, StepResult } from './result.ts'
import { perform, type Step } from './step.ts'
import { perceiveValues, readValueOrder, type ValueOrder } from './values.ts'

/** `imperative_input`: asks a person. The first value is the question, the others are shown with it. */
export function prepareInput(entry: InferenceEntry): PreparedSequence {
  const values = readValueOrder(entry, { unordered: 'as_listed' })
  return { lanes: ['people'], start: context => run(context, values) }
}

function* run(context: StepContext, order: ValueOrder): Step<StepResult> {
  const inputs = yield* perceiveValues(context, order, { process: processElement })
  const answers = yield* callPerCell(context, inputs, ask)
  return { status: 'completed', output: encodeCells(context, answers) }
}

function* ask(input: PyDict): Step<Value> {
  const [question, ...others] = input.values()
  const shown = others.map((value, place) => [`context_${place + 1}`, value] as const)
  return yield* perform({
    type: 'input.ask',
    interaction: {
      type: 'simple_text',
      prompt: question === undefined ? '' : promptText(question),
      options: PyDict.of([['prompt_key', 'prompt_text'], ...shown]),
    },
  })
}

function promptText(value: Value): string {
  return readKeyed(value)?.content ?? str(value)
}
