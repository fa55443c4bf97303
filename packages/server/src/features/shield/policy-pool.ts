import { threadFile, ThreadPool, type ThreadFailure } from '#threads/thread-pool'
import { modulesKept, type CheckAnswer, type LoadAnswer, type PolicyMessage, type PolicyTask } from './policy-abi.ts'
import type { WasmModule } from './wasm.ts'

export interface PoolTerms {
  readonly workers: number
  readonly timeoutMs: number
  /** How long a module may take to be compiled and started. */
  readonly loadMs: number
  readonly memoryBytes: number
  /** Tasks of one organisation that may wait. */
  readonly queue: number
}

/** What kept a policy from answering. */
export interface PoolFailure {
  readonly type: 'timeout' | 'crashed' | 'busy'
}

/** What a thread needs of the host's own memory, besides what a policy declares. */
const ownBytes = 32 * 1_048_576

/** Threads that run policies. */
export class PolicyPool implements AsyncDisposable {
  readonly #terms: PoolTerms
  readonly #threads: ThreadPool<PolicyTask, CheckAnswer | LoadAnswer>

  constructor(terms: PoolTerms, onReplaced: () => void) {
    this.#terms = terms
    this.#threads = new ThreadPool({
      file: threadFile(import.meta.url, 'policy-worker'),
      threads: terms.workers,
      queue: terms.queue,
      heapBytes: terms.memoryBytes + ownBytes,
      told: taskFor,
      onReplaced,
    })
  }

  load(organisation: string, bytes: Uint8Array): Promise<LoadAnswer | PoolFailure> {
    const { loadMs } = this.#terms
    return this.#run(organisation, { type: 'load', bytes }, loadMs) as Promise<LoadAnswer | PoolFailure>
  }

  check(
    organisation: string,
    { key, module }: { readonly key: string; readonly module: WasmModule },
    message: PolicyMessage,
  ): Promise<CheckAnswer | PoolFailure> {
    const task: PolicyTask = { type: 'check', key, module, message }
    return this.#run(organisation, task, this.#terms.timeoutMs) as Promise<CheckAnswer | PoolFailure>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads[Symbol.asyncDispose]()
  }

  async #run(
    organisation: string,
    task: PolicyTask,
    timeoutMs: number,
  ): Promise<CheckAnswer | LoadAnswer | PoolFailure> {
    const outcome = await this.#threads.run(organisation, task, timeoutMs)
    return outcome.type === 'answered' ? outcome.answer : { type: failures[outcome.type] }
  }
}

const failures = {
  timeout: 'timeout',
  busy: 'busy',
  crashed: 'crashed',
  memory: 'crashed',
  unavailable: 'crashed',
} as const satisfies Record<ThreadFailure, PoolFailure['type']>

/** With its module, unless the thread has that already. */
function taskFor(task: PolicyTask, kept: Set<string>): PolicyTask {
  if (task.type === 'load') return task
  if (kept.has(task.key)) return { ...task, module: null }
  if (kept.size >= modulesKept) kept.clear()
  kept.add(task.key)
  return task
}
