import type { Value } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'

import { overQuota, watchQuota } from './folder-quota.ts'
import { type Interpreter } from './interpreter.ts'
import type { FunctionCall, OpenSandbox, PythonSession, SandboxLimits, ScriptCall } from './sandboxes.ts'
import { callLine, executeLine, readReply } from './wire.ts'

const quotaCheckMs = 1000
const START_TIMEOUT_MS = 30_000

/** Starts an interpreter for the folder of a session. Its first line says that it is ready. */
export type Launch = (options: OpenSandbox, limits: SandboxLimits) => Promise<Interpreter>

type CallOptions = Pick<ScriptCall, 'signal' | 'timeoutMs' | 'onFiles'>

export interface SessionOptions {
  readonly limits: SandboxLimits
  readonly onClose?: (() => void) | undefined
}

/** The session of every adapter: one call at a time, a fresh interpreter after each one that had to be ended. */
export class InterpreterSession implements PythonSession {
  readonly #launch: Launch
  readonly #options: OpenSandbox
  readonly #limits: SandboxLimits
  readonly #onClose: (() => void) | undefined
  readonly #onAbort = (): void => void this[Symbol.asyncDispose]()
  #interpreter: Interpreter | undefined
  #last: Promise<unknown> = Promise.resolve()
  #lastId = 0
  /** When the folder was last found to have room. */
  #measuredAt = -Infinity
  #closing: Promise<void> | undefined

  constructor(launch: Launch, options: OpenSandbox, { limits, onClose }: SessionOptions) {
    this.#launch = launch
    this.#options = options
    this.#limits = limits
    this.#onClose = onClose
    options.signal?.addEventListener('abort', this.#onAbort, { once: true })
    if (options.signal?.aborted) this.#onAbort()
  }

  callFunction(call: FunctionCall): Promise<Value> {
    return this.#inTurn(call, id => callLine(id, call))
  }

  execute(call: ScriptCall): Promise<Value> {
    return this.#inTurn(call, id => executeLine(id, call))
  }

  /** The process that works for this session now, for measurements and tests. */
  get pid(): number | undefined {
    return this.#interpreter?.pid
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#options.signal?.removeEventListener('abort', this.#onAbort)
    await this.#discard()
    await this.#last
    await this.#discard()
    this.#onClose?.()
  }

  #inTurn(call: CallOptions, request: (id: number) => string): Promise<Value> {
    const turn = this.#last.then(() => this.#exchange(call, request))
    this.#last = turn.catch(() => undefined)
    return turn
  }

  async #exchange(call: CallOptions, request: (id: number) => string): Promise<Value> {
    const { signal, timeoutMs = Infinity } = call
    this.#refuseWhenClosed()
    signal?.throwIfAborted()
    const id = ++this.#lastId
    const longest = Math.min(timeoutMs, this.#limits.callTimeoutMs)
    try {
      await this.#checkQuota()
      const interpreter = await this.#ready(signal)
      using _quota = watchQuota(this.#options.folder, this.#limits, reason => {
        this.#measuredAt = -Infinity
        void interpreter.end(reason)
      })
      const reply = await interpreter.ask(request(id), {
        timeoutMs: longest,
        onTimeout: new AppError('sandbox.timeout', `The script did not finish within ${longest} ms and was ended.`),
        signal,
      })
      const { value, output, files } = readReply(reply, id, this.#limits)
      if (output) this.#options.onOutput?.(output)
      if (files.length > 0) call.onFiles?.(files)
      return value
    } catch (error) {
      // Its state is unknown now: whatever it is still doing ends here.
      await this.#discard()
      throw error
    }
  }

  // Many short calls can fill a folder just as one long call can.
  async #checkQuota(): Promise<void> {
    if (performance.now() - this.#measuredAt < quotaCheckMs) return
    const reason = await overQuota(this.#options.folder, this.#limits)
    if (reason) throw reason
    this.#measuredAt = performance.now()
  }

  async #ready(signal: AbortSignal | undefined): Promise<Interpreter> {
    if (this.#interpreter) return this.#interpreter
    const interpreter = await this.#launch(this.#options, this.#limits)
    this.#interpreter = interpreter
    this.#refuseWhenClosed()
    // An interpreter that ends between two calls is not kept for the next one.
    void interpreter.ended.then(() => {
      if (this.#interpreter === interpreter) this.#interpreter = undefined
    })
    try {
      await interpreter.ask(undefined, { timeoutMs: START_TIMEOUT_MS, onTimeout: startedTooSlowly(), signal })
    } catch (error) {
      throw error instanceof AppError && error.code === 'sandbox.crashed' ? couldNotStart(error) : error
    }
    return interpreter
  }

  #refuseWhenClosed(): void {
    if (this.#closing) throw new AppError('cancelled', 'The sandbox was closed. Open a new one for this run.')
  }

  async #discard(): Promise<void> {
    const interpreter = this.#interpreter
    this.#interpreter = undefined
    await interpreter?.end()
  }
}

function startedTooSlowly(): AppError {
  return new AppError('sandbox.unavailable', `The Python sandbox did not start within ${START_TIMEOUT_MS} ms.`)
}

function couldNotStart(cause: AppError): AppError {
  return new AppError('sandbox.unavailable', `The Python sandbox could not start: ${cause.message}`, { cause })
}
