import { AppError } from '@slipway/protocol/errors'

interface Clock {
  readonly execution: string
  readonly limit: AbortSignal
}

// Node's timers end at 2^31 - 1 ms, which is 24 days; a step that waits longer than that waits for people.
const longestTimer = 2 ** 31 - 1

/** How long each step may still take: counted from the first call of an execution that this server makes. */
export class StepClocks {
  readonly #timeoutMs: number | null
  readonly #clocks = new Map<string, Clock>()

  constructor(timeoutMs: number | null) {
    this.#timeoutMs = timeoutMs
  }

  /** Aborts with `step.timeout` when the step's time is over; null when it has no limit. */
  limitOf(flowIndex: string, key: string): AbortSignal | null {
    if (this.#timeoutMs === null) return null
    const execution = key.slice(0, key.indexOf('/'))
    const known = this.#clocks.get(flowIndex)
    if (known?.execution === execution) return known.limit
    const clock = { execution, limit: limitAfter(flowIndex, Math.min(this.#timeoutMs, longestTimer)) }
    this.#clocks.set(flowIndex, clock)
    return clock.limit
  }
}

function limitAfter(flowIndex: string, ms: number): AbortSignal {
  const controller = new AbortController()
  const error = new AppError('step.timeout', `Step ${flowIndex} took longer than its ${ms / 1000} s.`)
  setTimeout(() => controller.abort(error), ms).unref()
  return controller.signal
}
