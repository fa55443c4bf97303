import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'

/**
 * Why a task has no answer. `timeout`, `memory` and `crashed` are its own doing, and cost its thread; `busy` says that too
 * many of its party wait, and `unavailable` that no thread can be started, or none is to be.
 */
export type ThreadFailure = 'timeout' | 'memory' | 'crashed' | 'busy' | 'unavailable'

export type ThreadOutcome<Answer> =
  { readonly type: 'answered'; readonly answer: Answer } | { readonly type: ThreadFailure }

export interface ThreadPoolOptions<Task> {
  /** The module of the threads: it says `ready` once, and then answers each task with one message. */
  readonly file: string
  readonly threads: number
  /** Tasks of one party that may wait. */
  readonly queue: number
  /** Of a thread's own memory. What compiled code has as its memory is not part of that. */
  readonly heapBytes: number
  /** What a thread is told for a task. `kept` is the thread's own, and empty when it begins. */
  readonly told?: (task: Task, kept: Set<string>) => Task
  readonly onReplaced: (failure: ThreadFailure, party: string | null) => void
}

interface Waiting<Task, Answer> {
  readonly party: string
  readonly task: Task
  readonly timeoutMs: number
  readonly settle: (outcome: ThreadOutcome<Answer>) => void
}

interface Thread<Task, Answer> {
  readonly worker: Worker
  readonly kept: Set<string>
  isReady: boolean
  work: { readonly waiting: Waiting<Task, Answer>; readonly timer: NodeJS.Timeout } | null
}

const megabyte = 1_048_576

/**
 * Threads that do what comes from outside, one task at a time each, apart from everything else of the server. A task that
 * takes too long costs its thread, and another one takes its place. Parties take turns, and none has all threads where
 * there are several.
 */
export class ThreadPool<Task, Answer> implements AsyncDisposable {
  readonly #options: ThreadPoolOptions<Task>
  readonly #threads = new Set<Thread<Task, Answer>>()
  /** By party; the one whose turn it is first. */
  readonly #queues = new Map<string, Waiting<Task, Answer>[]>()
  #isOver = false

  constructor(options: ThreadPoolOptions<Task>) {
    this.#options = options
  }

  /** The time is that of the task alone, and not of its wait for a thread. */
  run(party: string, task: Task, timeoutMs: number): Promise<ThreadOutcome<Answer>> {
    const queue = this.#queues.get(party) ?? []
    if (this.#isOver) return Promise.resolve({ type: 'unavailable' })
    if (queue.length >= this.#options.queue) return Promise.resolve({ type: 'busy' })
    return new Promise(settle => {
      queue.push({ party, task, timeoutMs, settle })
      this.#queues.set(party, queue)
      this.#next()
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    this.#refuseAll()
    await Promise.all([...this.#threads].map(thread => this.#end(thread, 'unavailable')))
  }

  #refuseAll(): void {
    for (const queue of this.#queues.values()) for (const { settle } of queue) settle({ type: 'unavailable' })
    this.#queues.clear()
  }

  #next(): void {
    while (!this.#isOver && this.#queues.size > 0) {
      const thread = this.#threads.values().find(({ isReady, work }) => isReady && work === null)
      const waiting = thread && this.#take()
      if (!waiting) break
      this.#begin(thread, waiting)
    }
    const isWanted = !this.#isOver && this.#queues.size > 0
    if (isWanted && this.#threads.size < this.#options.threads) this.#start()
  }

  /** The oldest task of the party whose turn it is. */
  #take(): Waiting<Task, Answer> | undefined {
    const most = Math.max(1, this.#options.threads - 1)
    for (const [party, queue] of this.#queues) {
      if (this.#busyFor(party) >= most) continue
      const waiting = queue.shift()
      this.#queues.delete(party)
      if (queue.length > 0) this.#queues.set(party, queue)
      return waiting
    }
    return undefined
  }

  #busyFor(party: string): number {
    return [...this.#threads].filter(({ work }) => work?.waiting.party === party).length
  }

  #begin(thread: Thread<Task, Answer>, waiting: Waiting<Task, Answer>): void {
    const timer = setTimeout(() => {
      // The answer may be there, and this thread was busy with something else.
      setImmediate(() => thread.work?.waiting === waiting && void this.#end(thread, 'timeout'))
    }, waiting.timeoutMs)
    thread.work = { waiting, timer }
    const { told } = this.#options
    thread.worker.postMessage(told ? told(waiting.task, thread.kept) : waiting.task)
  }

  #start(): void {
    const { file, heapBytes } = this.#options
    const worker = new Worker(file, {
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(heapBytes / megabyte), stackSizeMb: 2 },
      stdout: true,
      stderr: true,
    })
    worker.unref()
    const thread: Thread<Task, Answer> = { worker, kept: new Set(), isReady: false, work: null }
    this.#threads.add(thread)
    worker.on('message', (said: Answer | 'ready') => {
      if (said === 'ready') thread.isReady = true
      else this.#settle(thread, { type: 'answered', answer: said })
      this.#next()
    })
    worker.on('error', (error: unknown) => void this.#end(thread, isMemory(error) ? 'memory' : 'crashed'))
    worker.on('exit', () => void this.#end(thread, 'crashed'))
  }

  #settle(thread: Thread<Task, Answer>, outcome: ThreadOutcome<Answer>): void {
    const { work } = thread
    if (work === null) return
    thread.work = null
    clearTimeout(work.timer)
    work.waiting.settle(outcome)
  }

  async #end(thread: Thread<Task, Answer>, failure: ThreadFailure): Promise<void> {
    if (!this.#threads.delete(thread)) return
    if (!this.#isOver) this.#options.onReplaced(failure, thread.work?.waiting.party ?? null)
    this.#settle(thread, { type: failure })
    // What cannot even begin would be tried for ever.
    if (!thread.isReady) this.#refuseAll()
    this.#next()
    await thread.worker.terminate()
  }
}

/** The file of a thread's module, which lies beside the module at `url`: as it is written, or as it is built. */
export function threadFile(url: string, name: string): string {
  return fileURLToPath(new URL(`./${name}.${url.endsWith('.ts') ? 'ts' : 'js'}`, url))
}

function isMemory(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ERR_WORKER_OUT_OF_MEMORY'
}
