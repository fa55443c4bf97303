import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'

/** What a handler knows of its job, and what it may say of it. */
export interface JobContext {
  readonly id: string
  readonly topic: string
  readonly schema: string
  /** 1 for the first time that the job is handed out. */
  readonly attempt: number
  readonly maxAttempts: number
  /** Milliseconds since 1970, by the server's clock; null where there is no deadline. */
  readonly deadlineAt: number | null
  readonly trace: Readonly<Record<string, string>>
  /** As it came. */
  readonly payload: Uint8Array
  /** Aborts when the job was cancelled, is no longer this operator's, or the operator closes. */
  readonly signal: AbortSignal
  /** How far it is: a few words, or a value that is sent as JSON. The newest goes with the next heartbeat. */
  progress(value: unknown): void
  /** A line for the log of the job. Those that are too many before they can be sent are left out, the oldest first. */
  log(line: string): void
  /** Adds a piece to the stream of the job; resolves once it is on disk, so that whoever waits is never ahead of it. */
  stream(piece: unknown): Promise<void>
}

/** Thrown by a handler: the job will not succeed at a further attempt either, and is dead. */
export class PermanentFailure extends Error {
  override readonly name = 'PermanentFailure'
}

/** Reads what came, as schemas of zod and many others do. Throws for what is not so. */
export interface Reads<T> {
  parse(value: unknown): T
}

export interface Subscription<In, Out> {
  /** Of payloads; `arqonbus.<first word of the topic>.job.v1` unless said. */
  readonly schema?: string | undefined
  /** Of results; `arqonbus.<first word of the topic>.result.v1` unless said. */
  readonly resultSchema?: string | undefined
  /** What a payload has to be; a job with another one fails for good. */
  readonly input?: Reads<In> | undefined
  /** What a result has to be; another one is the handler's mistake, and the attempt fails. */
  readonly output?: Reads<Out> | undefined
}

/** Does one job: gives its result, which is sent as JSON, or as it is where it is bytes. */
export type JobHandler<In, Out> = (payload: In, job: JobContext) => Promise<Out> | Out

/** A subscription with its types behind it. */
export interface Work {
  readonly topic: string
  readonly schema: string
  readonly resultSchema: string
  /** Gives the result's bytes. */
  readonly run: (job: JobContext) => Promise<Uint8Array>
}

export function workOf<In, Out>(
  topic: string,
  handler: JobHandler<In, Out>,
  { schema, resultSchema, input, output }: Subscription<In, Out>,
): Work {
  const [domain = ''] = topic.toLowerCase().split('.')
  return {
    topic,
    schema: schema ?? `arqonbus.${domain}.job.v1`,
    resultSchema: resultSchema ?? `arqonbus.${domain}.result.v1`,
    async run(job) {
      const payload = payloadOf(job.payload, input)
      const result: unknown = await handler(payload, job)
      return bytesOf(output === undefined ? result : output.parse(result))
    },
  }
}

/** JSON, or bytes as they are. */
export function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new TextEncoder().encode(JSON.stringify(value ?? null))
}

/** What the server is told of an attempt that failed. */
export function failureOf(error: unknown): { readonly reason: string; readonly retryable: boolean } {
  const reason = error instanceof Error ? error.message || error.name : String(error)
  const isPermanent =
    error instanceof PermanentFailure || (error instanceof AppError && error.code === 'payload.invalid')
  return { reason: reason.slice(0, 2_000), retryable: !isPermanent }
}

function payloadOf<In>(bytes: Uint8Array, input: Reads<In> | undefined): In {
  try {
    const value = parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
    // Without a schema the handler says by its type what it relies on.
    return input === undefined ? (value as In) : input.parse(value)
  } catch (error) {
    throw new PermanentFailure(`The payload is not what the operator takes: ${messageOf(error)}`, { cause: error })
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
