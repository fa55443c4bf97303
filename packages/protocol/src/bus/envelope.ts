import { z } from 'zod'
import { Topic } from './topics.ts'

/** Names and keys that people and programs choose: no control characters, no half surrogate pairs. */
export const ShortText = z
  .string()
  .min(1)
  .max(200)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'Control characters are not allowed here.')

/** Whose a message, job or stream is. Comes from a verified token or session, and never from a message. */
export const Organisation = ShortText.max(100)

/** What a payload is: `arqonbus.<domain>.<thing>.v<N>`. */
export const SchemaId = z
  .string()
  .regex(
    /^arqonbus\.[a-z][a-z0-9_-]{0,63}\.[a-z][a-z0-9_-]{0,63}\.v[1-9][0-9]{0,4}$/,
    'A schema id is arqonbus.<domain>.<thing>.v<N>, such as arqonbus.genesis.job.v1.',
  )

export const envelopeTypes = [
  'event',
  'job',
  'job_result',
  'stream_start',
  'stream_chunk',
  'stream_end',
  'control',
] as const
export type EnvelopeType = (typeof envelopeTypes)[number]

/** Largest payload in bytes; what is larger is kept elsewhere and named in the payload. */
export const maxPayloadBytes = 1_048_576

export const Payload = z
  .custom<Uint8Array>(value => value instanceof Uint8Array, 'A payload is bytes.')
  .refine(bytes => bytes.byteLength <= maxPayloadBytes, `A payload has at most ${maxPayloadBytes} bytes.`)

/** What connects the spans of one piece of work, such as `traceparent`, `span_id` and `parent_id`. */
export const Trace = z
  .record(z.string().regex(/^[a-z][a-z0-9_-]{0,31}$/), ShortText)
  .refine(trace => Object.keys(trace).length <= 16, 'A trace has at most 16 entries.')
export type Trace = z.infer<typeof Trace>

/** How a job ended, as its result says it. */
export const resultStatuses = ['done', 'dead', 'cancelled', 'expired'] as const

/** Everything that goes over the bus. The payload is bytes, and `schema` says of what. */
export const Envelope = z.object({
  id: z.uuid(),
  type: z.enum(envelopeTypes),
  topic: Topic,
  /** ISO 8601, UTC. */
  ts: z.iso.datetime(),
  schema: SchemaId,
  payload: Payload,
  trace: Trace.optional(),
  /** Of results and streams: the job that they are of. */
  job_id: z.uuid().optional(),
  /** Of results and of the end of a stream. */
  status: z.enum(resultStatuses).optional(),
  /** Of streams: 1 for the first piece of the job, and no number is left out. */
  n: z.number().int().min(1).optional(),
  /** The place of a committed message among all; rises, with numbers left out. */
  seq: z.number().int().min(1).optional(),
})
export type Envelope = z.infer<typeof Envelope>

/** What a result carries where a job ended without one: JSON `{job_id, status, error}`. */
export const failureSchema = 'arqonbus.spine.failure.v1'

/** What stands in `stream_start` and `stream_end` where the operator says nothing further: JSON. */
export const streamSchema = 'arqonbus.spine.stream.v1'
