import type { ChildProcess } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'

import { AppError } from '@slipway/protocol/errors'

/** A started interpreter process and the two streams of the conversation with it. */
export interface Started {
  readonly child: ChildProcess
  readonly requests: Writable
  readonly replies: Readable
}

export interface InterpreterOptions {
  /** Longest line taken from the process, so that it cannot fill the server's memory. */
  readonly lineBytes: number
  /** Answers a line that is a question of the interpreter and not the reply to the call; undefined: it is the reply. */
  readonly answer?: ((line: string) => Promise<string> | undefined) | undefined
  /** Watches the process from outside while it works and calls `end` when it holds too much memory. */
  readonly watch?: ((pid: number, end: () => void) => Disposable) | undefined
}

/** How the last words of a process that ran out of memory look. */
const OUT_OF_MEMORY = /out of memory|memoryerror|allocation failed|cannot allocate memory|bad_alloc/i

/**
 * One interpreter process: asks it one thing at a time, and says precisely why it ended.
 *
 * Nothing it sends is trusted: lines are bounded, and a line that nobody asked for ends it.
 */
export class Interpreter {
  readonly #child: ChildProcess
  readonly #requests: Writable
  readonly #options: InterpreterOptions
  readonly #ended: Promise<void>
  #pieces: Buffer[] = []
  #pieceBytes = 0
  #waiting: { readonly resolve: (line: string) => void; readonly reject: (error: Error) => void } | undefined
  #failure: Error | undefined
  #lastWords = ''

  constructor(started: Started, options: InterpreterOptions) {
    this.#child = started.child
    this.#requests = started.requests
    this.#options = options
    // A process that ends while it is written to is reported by its exit.
    this.#requests.on('error', () => undefined)
    started.replies.on('error', () => undefined)
    started.replies.on('data', (chunk: Buffer) => this.#take(chunk))
    started.child.stderr?.on('data', (chunk: Buffer) => this.#hear(chunk))
    this.#ended = new Promise(resolve => {
      started.child.once('close', (code, signal) => {
        this.#fail(this.#whyItEnded(code, signal))
        resolve()
      })
      started.child.once('error', error => {
        this.#fail(new AppError('sandbox.unavailable', `The sandbox could not be started: ${error.message}`))
        if (started.child.pid === undefined) resolve()
      })
    })
  }

  /** Sends a line (or, without one, just waits) and resolves with the reply. */
  async ask(
    line: string | undefined,
    options: { timeoutMs: number; onTimeout: AppError; signal?: AbortSignal | undefined },
  ): Promise<string> {
    if (this.#failure) throw this.#failure
    const { signal } = options
    const timer = setTimeout(() => this.#end(options.onTimeout), options.timeoutMs)
    const onAbort = (): void => this.#end(abortedBy(signal))
    signal?.addEventListener('abort', onAbort, { once: true })
    using _watch = this.#watched()
    try {
      return await new Promise<string>((resolve, reject) => {
        this.#waiting = { resolve, reject }
        if (line !== undefined) this.#requests.write(`${line}\n`)
        if (signal?.aborted) onAbort()
      })
    } finally {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  /** Kills the process and everything in its sandbox; resolves when it is gone. */
  async end(reason: AppError = new AppError('cancelled', 'The sandbox was closed.')): Promise<void> {
    this.#end(reason)
    await this.#ended
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Resolves when the process is gone. */
  get ended(): Promise<void> {
    return this.#ended
  }

  #end(reason: Error): void {
    this.#fail(reason)
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
  }

  #watched(): Disposable | undefined {
    if (this.#child.pid === undefined) return undefined
    return this.#options.watch?.(this.#child.pid, () =>
      this.#end(new AppError('sandbox.memory', 'The script used more memory than its sandbox allows and was ended.')),
    )
  }

  #fail(error: Error): void {
    this.#failure ??= error
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(error)
  }

  #take(chunk: Buffer): void {
    if (this.#failure) return
    let rest = chunk
    for (let end = rest.indexOf(10); end >= 0 && !this.#failure; end = rest.indexOf(10)) {
      this.#pieces.push(rest.subarray(0, end))
      const line = Buffer.concat(this.#pieces).toString('utf8')
      this.#pieces = []
      this.#pieceBytes = 0
      rest = rest.subarray(end + 1)
      this.#hand(line)
    }
    if (rest.length > 0) this.#pieces.push(rest)
    this.#pieceBytes += rest.length
    if (this.#pieceBytes > this.#options.lineBytes) {
      this.#end(new AppError('sandbox.crashed', 'The sandbox was ended because it sent more than its output limit.'))
    }
  }

  #hand(line: string): void {
    const answer = this.#waiting ? this.#options.answer?.(line) : undefined
    if (answer) {
      answer.then(
        text => void (this.#failure ?? this.#requests.write(`${text}\n`)),
        (error: unknown) => this.#end(error as Error),
      )
      return
    }
    const waiting = this.#waiting
    this.#waiting = undefined
    if (waiting) waiting.resolve(line)
    else this.#end(new AppError('sandbox.crashed', 'The sandbox was ended because it spoke without being asked.'))
  }

  #hear(chunk: Buffer): void {
    this.#lastWords = (this.#lastWords + chunk.toString('utf8')).slice(-4096)
  }

  #whyItEnded(code: number | null, signal: NodeJS.Signals | null): AppError {
    const how = signal ? `signal ${signal}` : `exit code ${code}`
    if (OUT_OF_MEMORY.test(this.#lastWords)) {
      return new AppError('sandbox.memory', `The script used more memory than its sandbox allows (${how}).`)
    }
    const words = this.#lastWords
      .trim()
      .split('\n')
      .findLast(line => line.includes(':'))
      ?.trim()
    return new AppError(
      'sandbox.crashed',
      `The Python sandbox ended by itself (${how})${words ? `: ${words.slice(0, 300)}` : '.'}`,
    )
  }
}

function abortedBy(signal: AbortSignal | undefined): Error {
  const reason: unknown = signal?.reason
  return reason instanceof Error ? reason : new AppError('cancelled', 'The call was cancelled.')
}
