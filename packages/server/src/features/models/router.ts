import { orAbort } from '@slipway/kit/abort'
import { AppError, type ErrorCode } from '@slipway/protocol/errors'
import {
  DelegateBackoff,
  halfJitterGenerator,
  handleWhen,
  retry,
  TaskCancelledError,
  timeout,
  TimeoutStrategy,
  type IRetryBackoffContext,
} from 'cockatiel'
import type { AgentConfig } from './agents.ts'
import { ProviderFailure, type ModelProvider, type ProviderCall, type ProviderReply } from './provider.ts'
import { redact } from './redact.ts'

export interface RetrySettings {
  /** First wait in milliseconds; it doubles from attempt to attempt, with jitter of half its length. */
  readonly firstDelayMs: number
  readonly longestDelayMs: number
  /** A provider that asks for a longer wait than this is given up at once. */
  readonly longestRetryAfterMs: number
}

export interface Routed {
  readonly reply: ProviderReply
  readonly attempts: number
}

/**
 * Calls the provider until it answers: the only place where model calls are repeated. Each attempt has the agent's
 * time-out; 429, 5xx, broken connections and answers that are none are repeated after a back-off that is never
 * shorter than the provider's `Retry-After`. An attempt that timed out is not repeated: it would take as long again
 * and may be billed twice. Aborting `call.signal` rejects with its reason at once.
 */
export async function route(
  provider: ModelProvider,
  call: ProviderCall,
  { agent, settings }: { readonly agent: AgentConfig; readonly settings: RetrySettings },
): Promise<Routed> {
  let attempts = 0
  const limit = timeout(agent.timeoutMs, { strategy: TimeoutStrategy.Aggressive, abortOnReturn: true })
  // Unreferenced: after an abort a waiting back-off has nobody left to wait for it.
  const repeat = retry(handleWhen(repeatable(settings)), {
    maxAttempts: agent.maxRetries,
    backoff: new DelegateBackoff<IRetryBackoffContext<unknown>>(context =>
      delayBefore(context.attempt, { asked: askedBy(context), settings }),
    ),
  }).dangerouslyUnref()
  const work = repeat.execute(() => {
    call.signal.throwIfAborted()
    attempts += 1
    return limit.execute(({ signal }) => provider.generate({ ...call, signal }), call.signal)
  }, call.signal)
  try {
    return { reply: await orAbort(work, call.signal), attempts }
  } catch (error) {
    if (call.signal.aborted) throw call.signal.reason
    throw explain(error, { agent, attempts, apiKey: call.apiKey })
  }
}

function repeatable(settings: RetrySettings): (error: unknown) => boolean {
  return error =>
    error instanceof ProviderFailure &&
    error.kind !== 'refused' &&
    (error.retryAfterMs ?? 0) <= settings.longestRetryAfterMs
}

function askedBy(context: IRetryBackoffContext<unknown>): number | null {
  const { result } = context
  return 'error' in result && result.error instanceof ProviderFailure ? result.error.retryAfterMs : null
}

/** Wait in milliseconds before repeat number `repeat` (from 1): jittered, and never shorter than the provider asked. */
export function delayBefore(
  repeat: number,
  { asked, settings }: { readonly asked: number | null; readonly settings: RetrySettings },
): number {
  const [jittered] = halfJitterGenerator(repeat - 1, {
    generator: halfJitterGenerator,
    initialDelay: settings.firstDelayMs,
    maxDelay: settings.longestDelayMs,
    exponent: 2,
  })
  return Math.max(jittered, asked ?? 0)
}

function explain(
  error: unknown,
  {
    agent,
    attempts,
    apiKey,
  }: { readonly agent: AgentConfig; readonly attempts: number; readonly apiKey: string | null },
): unknown {
  const facts = { agent: agent.name, provider: agent.provider, model: agent.model, attempts }
  const who = `The model ${agent.model} of agent ${agent.name} (${agent.provider})`
  const tries = attempts === 1 ? '1 attempt' : `${attempts} attempts`
  if (error instanceof TaskCancelledError) {
    return new AppError('model.timeout', `${who} gave no answer in ${agent.timeoutMs} ms; raise timeout_ms or retry`, {
      details: { ...facts, timeoutMs: agent.timeoutMs },
    })
  }
  if (!(error instanceof ProviderFailure)) return error
  const said = redact(error.message, apiKey)
  const status = error.status === null ? '' : ` with status ${error.status}`
  const details = { ...facts, kind: error.kind, status: error.status, retryAfterMs: error.retryAfterMs, said }
  const failed = (code: ErrorCode, what: string): AppError => new AppError(code, `${who} ${what}: ${said}`, { details })
  return error.kind === 'refused'
    ? failed('model.refused', `refused the call${status}`)
    : failed('model.unavailable', `did not answer after ${tries}, the last one${status} (${error.kind})`)
}
