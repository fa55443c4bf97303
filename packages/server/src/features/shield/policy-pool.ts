import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
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

interface Waiting {
  readonly organisation: string
  readonly timeoutMs: number
  /** The module that the task needs, where its thread may not have it. */
  readonly module: { readonly key: string; readonly module: WasmModule } | null
  readonly task: PolicyTask
  readonly settle: (answer: CheckAnswer | LoadAnswer | PoolFailure) => void
}

interface Thread {
  readonly worker: Worker
  readonly known: Set<string>
  isReady: boolean
  work: { readonly waiting: Waiting; readonly timer: NodeJS.Timeout } | null
}

const workerFile = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './policy-worker.ts' : './policy-worker.js', import.meta.url),
)
const megabyte = 1_048_576

/**
 * Threads that run policies, apart from everything else of the server. A task that takes too long costs its thread, and
 * another one takes its place. Organisations take turns, and none has all threads where there are several.
 */
export class PolicyPool implements AsyncDisposable {
  readonly #terms: PoolTerms
  readonly #onReplaced: () => void
  readonly #threads = new Set<Thread>()
  /** By organisation; the one whose turn it is first. */
  readonly #queues = new Map<string, Waiting[]>()
  #isOver = false

  constructor(terms: PoolTerms, onReplaced: () => void) {
    this.#terms = terms
    this.#onReplaced = onReplaced
  }

  load(organisation: string, bytes: Uint8Array): Promise<LoadAnswer | PoolFailure> {
    const task: PolicyTask = { type: 'load', bytes }
    const { loadMs: timeoutMs } = this.#terms
    return this.#add({ organisation, task, timeoutMs, module: null }) as Promise<LoadAnswer | PoolFailure>
  }

  check(
    organisation: string,
    policy: { readonly key: string; readonly module: WasmModule },
    message: PolicyMessage,
  ): Promise<CheckAnswer | PoolFailure> {
    const task: PolicyTask = { type: 'check', key: policy.key, module: null, message }
    const { timeoutMs } = this.#terms
    return this.#add({ organisation, task, timeoutMs, module: policy }) as Promise<CheckAnswer | PoolFailure>
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    this.#refuseAll()
    await Promise.all([...this.#threads].map(thread => this.#end(thread, { type: 'crashed' })))
  }

  #refuseAll(): void {
    for (const queue of this.#queues.values()) for (const { settle } of queue) settle({ type: 'crashed' })
    this.#queues.clear()
  }

  #add(task: Omit<Waiting, 'settle'>): Promise<CheckAnswer | LoadAnswer | PoolFailure> {
    const queue = this.#queues.get(task.organisation) ?? []
    if (this.#isOver || queue.length >= this.#terms.queue) return Promise.resolve({ type: 'busy' })
    return new Promise(settle => {
      queue.push({ ...task, settle })
      this.#queues.set(task.organisation, queue)
      this.#next()
    })
  }

  #next(): void {
    while (!this.#isOver && this.#queues.size > 0) {
      const thread = this.#threads.values().find(({ isReady, work }) => isReady && work === null)
      const waiting = thread && this.#take()
      if (!waiting) break
      this.#begin(thread, waiting)
    }
    const isWanted = !this.#isOver && this.#queues.size > 0
    if (isWanted && this.#threads.size < this.#terms.workers) this.#start()
  }

  /** The oldest task of the organisation whose turn it is. */
  #take(): Waiting | undefined {
    const most = Math.max(1, this.#terms.workers - 1)
    for (const [organisation, queue] of this.#queues) {
      if (this.#busyFor(organisation) >= most) continue
      const waiting = queue.shift()
      this.#queues.delete(organisation)
      if (queue.length > 0) this.#queues.set(organisation, queue)
      return waiting
    }
    return undefined
  }

  #busyFor(organisation: string): number {
    return [...this.#threads].filter(({ work }) => work?.waiting.organisation === organisation).length
  }

  #begin(thread: Thread, waiting: Waiting): void {
    const timer = setTimeout(() => {
      // The answer may be there, and this thread was busy with something else.
      setImmediate(() => thread.work?.waiting === waiting && void this.#end(thread, { type: 'timeout' }))
    }, waiting.timeoutMs)
    thread.work = { waiting, timer }
    thread.worker.postMessage(taskFor(thread, waiting))
  }

  #start(): void {
    const worker = new Worker(workerFile, {
      env: {},
      // What a policy can have of the host's own memory, besides what it declares.
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(this.#terms.memoryBytes / megabyte) + 32, stackSizeMb: 2 },
      stdout: true,
      stderr: true,
    })
    worker.unref()
    const thread: Thread = { worker, known: new Set(), isReady: false, work: null }
    this.#threads.add(thread)
    worker.on('message', (said: 'ready' | CheckAnswer | LoadAnswer) => {
      if (said === 'ready') thread.isReady = true
      else this.#settle(thread, said)
      this.#next()
    })
    worker.on('error', () => void this.#end(thread, { type: 'crashed' }))
    worker.on('exit', () => void this.#end(thread, { type: 'crashed' }))
  }

  #settle(thread: Thread, answer: CheckAnswer | LoadAnswer | PoolFailure): void {
    const { work } = thread
    if (work === null) return
    thread.work = null
    clearTimeout(work.timer)
    work.waiting.settle(answer)
  }

  async #end(thread: Thread, failure: PoolFailure): Promise<void> {
    if (!this.#threads.delete(thread)) return
    if (!this.#isOver) this.#onReplaced()
    this.#settle(thread, failure)
    // What cannot even begin would be tried for ever.
    if (!thread.isReady) this.#refuseAll()
    this.#next()
    await thread.worker.terminate()
  }
}

/** With its module, unless the thread has that already. */
function taskFor({ known }: Thread, { task, module }: Waiting): PolicyTask {
  if (task.type === 'load' || module === null || known.has(module.key)) return task
  if (known.size >= modulesKept) known.clear()
  known.add(module.key)
  return { ...task, module: module.module }
}
