import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import { readExpression, type Expression } from './expression.ts'
import type {
  MappingAnswer,
  MappingInput,
  MappingLimits,
  MappingStep,
  MappingTask,
  StepAnswer,
} from './mapping-task.ts'

type Evaluate = Extract<MappingTask, { readonly type: 'evaluate' }>

/** What is wrong with an expression; null where nothing is. */
export function problemOf(text: string): string | null {
  try {
    readExpression(text, { timeMs: 1, depth: 1, items: 1, bytes: 1 })
    return null
  } catch (error) {
    if (error instanceof AppError) return error.message
    throw error
  }
}

/** Expressions that were read before; with one more they are forgotten. */
export class MappingGuest {
  readonly #known = new Map<string, Expression>()
  readonly #most: number

  constructor(most: number) {
    this.#most = most
  }

  async answer(task: MappingTask): Promise<MappingAnswer> {
    if (task.type === 'check') return { type: 'checked', problems: task.texts.map(problemOf) }
    return { type: 'evaluated', answers: await this.#evaluate(task) }
  }

  /** What there is time for: the time of one evaluation is that of them all. */
  async #evaluate(task: Evaluate): Promise<StepAnswer[]> {
    const until = performance.now() + task.limits.timeMs
    const answers: StepAnswer[] = []
    const texts = textsOf(task)
    for (const step of task.steps) {
      if (answers.length > 0 && performance.now() > until) break
      answers.push(await this.#step(step, texts, task))
    }
    return answers
  }

  async #step({ when, map }: MappingStep, texts: Texts, { limits }: Evaluate): Promise<StepAnswer> {
    try {
      // What one expression does to its input, the next must not see: each has its own.
      const make = (text: string): Promise<string> => this.#read(text, limits).evaluate(texts.input(), texts.names())
      if (when !== undefined && (await make(when)) !== 'true') return { type: 'held_back' }
      return { type: 'made', json: map === undefined ? null : new TextEncoder().encode(await make(map)) }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return { type: 'failed', code: error.code, message: error.message }
    }
  }

  #read(text: string, limits: MappingLimits): Expression {
    const key = JSON.stringify([limits, text])
    const known = this.#known.get(key)
    if (known) return known
    if (this.#known.size >= this.#most) this.#known.clear()
    const expression = readExpression(text, limits)
    this.#known.set(key, expression)
    return expression
  }
}

interface Texts {
  readonly input: () => unknown
  readonly names: () => Readonly<Record<string, unknown>>
}

function textsOf({ input, notJson, names = {} }: MappingInput): Texts {
  return {
    input: () => {
      const read = jsonOr(input)
      if (read.isJson) return read.value
      if (notJson === 'refused') throw new AppError('mapping.failed', 'The payload is no JSON.')
      return notJson === 'text' ? new TextDecoder().decode(input) : undefined
    },
    names: () =>
      Object.fromEntries(
        Object.entries(names).map(([name, value]) => [
          name,
          value instanceof Uint8Array ? jsonOr(value).value : structuredClone(value),
        ]),
      ),
  }
}

function jsonOr(bytes: Uint8Array): { readonly isJson: boolean; readonly value: unknown } {
  try {
    return { isJson: true, value: parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch {
    return { isJson: false, value: undefined }
  }
}
