import type { Attempt, Content, Job, StreamFrame } from '@slipway/protocol/jobs'
import { writeJson } from '@slipway/sdk/json'
import type { Terminal } from './terminal.ts'
import { localTime, oneLine, plain, table, truncated } from './text.ts'

export function jobTable(jobs: readonly Job[], terminal: Terminal): string {
  const rows = jobs.map(job => [job.jobId, job.type, statusOf(job), String(job.attempts), localTime(job.createdAt)])
  return table(['JOB', 'TYPE', 'STATUS', 'ATTEMPTS', 'CREATED'], rows, { width: terminal.columns() })
}

/** One job in a few lines. */
export function jobLines(job: Job): string[] {
  const facts: readonly (readonly [string, string | null])[] = [
    ['Status', statusOf(job)],
    ['Created', localTime(job.createdAt)],
    ['Started', job.startedAt && localTime(job.startedAt)],
    ['Ended', job.finishedAt && localTime(job.finishedAt)],
    ['Not before', job.notBefore !== null && job.notBefore > job.createdAt ? localTime(job.notBefore) : null],
    ['Deadline', job.deadline && localTime(job.deadline)],
    ['Attempts', `${job.attempts} of ${job.maxAttempts}`],
    ['Operator', job.operator],
    ['Progress', job.progress === null ? null : wordsOf(job.progress)],
    ['Error', job.error && job.error.message],
  ]
  const told = facts.flatMap(([name, value]) => (value === null ? [] : [`  ${name.padEnd(11)}${oneLine(value)}`]))
  return [`${job.jobId}  ${oneLine(job.type)}`, ...told]
}

export function attemptTable(attempts: readonly Attempt[], terminal: Terminal): string {
  const rows = attempts.map(({ n, operator, startedAt, outcome, reason }) => [
    String(n),
    operator,
    localTime(startedAt),
    outcome,
    reason ?? '',
  ])
  return table(['ATTEMPT', 'OPERATOR', 'STARTED', 'OUTCOME', 'REASON'], rows, { width: terminal.columns() })
}

/** A payload or result as a person reads it. */
export function contentText({ schema, payload, payloadBase64 }: Content): string {
  if (payloadBase64 !== undefined) return `${schema}, base64: ${payloadBase64}`
  return typeof payload === 'string' ? plain(payload) : plain(writeJson(payload ?? null, 2))
}

interface FramePayload {
  readonly kind?: string
  readonly text?: string
  readonly event?: string
  readonly flow_index?: string
  readonly status?: string
  readonly progress?: unknown
  readonly message?: string
  readonly schema?: string
  readonly payload?: unknown
  readonly payloadBase64?: string
}

/** A frame of a job's stream on one line; null for those that tell a person nothing. */
export function frameLine({ type, ts, payload }: StreamFrame, width: number): string | null {
  const words = frameWords(type, payload ?? {})
  return words === null ? null : truncated(`${localTime(ts)}  ${type.padEnd(6)}  ${oneLine(words)}`, width)
}

function frameWords(type: StreamFrame['type'], told: FramePayload): string | null {
  if (type === 'heartbeat' || told.kind === 'stream_start' || told.kind === 'stream_end') return null
  if (type === 'error') return `${told.status ?? ''}: ${told.message ?? ''}`
  if (type === 'result') return told.status ?? ''
  if (told.kind === 'event') return [told.event, told.flow_index].filter(Boolean).join(' ')
  if (type === 'status')
    return [told.status, told.progress === null ? '' : wordsOf(told.progress)].filter(Boolean).join(', ')
  if (told.text !== undefined) return told.text
  return told.payloadBase64 === undefined ? wordsOf(told.payload) : `${told.schema ?? ''} (base64)`
}

function statusOf({ status, state, isCancelling }: Job): string {
  if (isCancelling) return `${status} (cancelling)`
  return status === state || status === 'succeeded' ? status : `${status} (${state})`
}

function wordsOf(value: unknown): string {
  return typeof value === 'string' ? value : writeJson(value ?? null)
}
