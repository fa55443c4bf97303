import { unreachable } from '@slipway/kit/unreachable'
import { AppError } from '@slipway/protocol/errors'
import { threadFile, ThreadPool, type ThreadFailure } from '#threads/thread-pool'
import { problemOf } from './mapping-guest.ts'
import type {
  MappingAnswer,
  MappingInput,
  MappingLimits,
  MappingStep,
  MappingTask,
  StepAnswer,
} from './mapping-task.ts'

export interface MappingTerms {
  readonly workers: number
  /** Longest time of one evaluation. */
  readonly timeoutMs: number
  /** Of one thread. */
  readonly memoryBytes: number
  /** Inputs of one organisation that may wait. */
  readonly queue: number
}

/** What became of a step; `json` is null where it has no `map`. */
export type Made =
  | { readonly type: 'made'; readonly json: Uint8Array | null }
  | { readonly type: 'held_back' }
  | { readonly type: 'failed'; readonly error: AppError }

export interface MappingsOptions {
  readonly terms: MappingTerms
  readonly onReplaced: (failure: ThreadFailure, organisation: string | null) => void
}

const bounds = { depth: 100, items: 50_000, bytes: 1_048_576 }
/** How much longer a thread may take than the engine of expressions, which says better what is wrong. */
const graceMs = 100

/** Evaluates expressions on threads of their own: whatever they do holds up nobody but their organisation. */
export class Mappings implements AsyncDisposable {
  readonly #threads: ThreadPool<MappingTask, MappingAnswer>
  readonly #limits: MappingLimits

  constructor({ terms, onReplaced }: MappingsOptions) {
    this.#limits = { ...bounds, timeMs: terms.timeoutMs }
    this.#threads = new ThreadPool({
      file: threadFile(import.meta.url, 'mapping-worker'),
      threads: terms.workers,
      queue: terms.queue,
      heapBytes: terms.memoryBytes,
      onReplaced,
    })
  }

  /** What is wrong with each of the expressions; null where nothing is. Throws `mapping.busy`. */
  async problems(organisation: string, texts: readonly string[]): Promise<(string | null)[]> {
    if (texts.length === 0) return []
    const outcome = await this.#run(organisation, { type: 'check', texts })
    if (outcome.type === 'checked') return [...outcome.problems]
    if (outcome.type === 'evaluated') throw new Error('The thread answered another question.')
    if (texts.length === 1) return [this.#failure(outcome.type).message]
    const each: (string | null)[] = []
    for (const text of texts) each.push(...(await this.problems(organisation, [text])))
    return each
  }

  /** Several steps of one input at once. Throws `mapping.busy`, which has room later. */
  async evaluateAll(organisation: string, steps: readonly MappingStep[], given: MappingInput): Promise<Made[]> {
    const made: Made[] = []
    let rest = steps
    let portion = steps.length
    while (rest.length > 0) {
      const task: MappingTask = { ...given, type: 'evaluate', limits: this.#limits, steps: rest.slice(0, portion) }
      const outcome = await this.#run(organisation, task)
      if (outcome.type === 'checked') throw new Error('The thread answered another question.')
      if (outcome.type === 'evaluated') made.push(...outcome.answers.map(madeOf))
      // One of them is to blame, and the others are not to suffer for it.
      else if (task.steps.length === 1) made.push({ type: 'failed', error: this.#failure(outcome.type) })
      else portion = 1
      rest = steps.slice(made.length)
    }
    return made
  }

  /**
   * Gives JSON. Throws `mapping.failed`, `mapping.limit`, `mapping.timeout` and `mapping.memory` for what the expression
   * does, and `mapping.busy`.
   */
  async evaluate(organisation: string, map: string, given: MappingInput): Promise<Uint8Array> {
    const [made] = await this.evaluateAll(organisation, [{ map }], given)
    if (made?.type === 'failed') throw made.error
    if (made?.type !== 'made' || made.json === null) throw new Error('The thread made nothing of an expression.')
    return made.json
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]()
  }

  async #run(
    organisation: string,
    task: MappingTask,
  ): Promise<MappingAnswer | { readonly type: 'timeout' | 'memory' | 'crashed' }> {
    const outcome = await this.#threads.run(organisation, task, this.#limits.timeMs + graceMs)
    switch (outcome.type) {
      case 'answered':
        return outcome.answer
      case 'busy':
        throw new AppError('mapping.busy', 'Too many messages wait for mappings. Try again in a moment.')
      case 'unavailable':
        throw new AppError('mapping.busy', 'There is no thread for mappings at the moment. Try again in a moment.')
      case 'timeout':
      case 'memory':
      case 'crashed':
        return { type: outcome.type }
      default:
        return unreachable(outcome)
    }
  }

  #failure(what: 'timeout' | 'memory' | 'crashed'): AppError {
    switch (what) {
      case 'timeout':
        return new AppError('mapping.timeout', `The mapping took longer than ${this.#limits.timeMs} ms.`)
      case 'memory':
        return new AppError('mapping.memory', 'The mapping needs more memory than it may have.')
      case 'crashed':
        return new AppError('mapping.failed', 'The mapping brought its thread to an end.')
      default:
        return unreachable(what)
    }
  }
}

/**
 * Throws `mapping.invalid` for what is no expression, or one that could not be bounded. For what comes with the server's own
 * configuration, as it starts; others have their expressions checked where they are evaluated.
 */
export function checkMapping(text: string): void {
  const problem = problemOf(text)
  if (problem !== null) throw new AppError('mapping.invalid', problem)
}

function madeOf(answer: StepAnswer): Made {
  if (answer.type !== 'failed') return answer
  return { type: 'failed', error: new AppError(answer.code, answer.message) }
}
