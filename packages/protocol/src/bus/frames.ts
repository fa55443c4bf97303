import {
  create,
  fromBinary,
  fromJsonString,
  toBinary,
  toJsonString,
  type DescMessage,
  type MessageInitShape,
  type MessageShape,
} from '@bufbuild/protobuf'
import {
  ClientFrameSchema,
  type EnvelopeSchema,
  EnvelopeType as WireType,
  ServerFrameSchema,
  type ClientFrame as WireClientFrame,
  type Envelope as WireEnvelope,
  type ServerFrame as WireServerFrame,
} from '#generated/slipway/bus/v1/bus_pb'
import { AppError, errorCodes, type ErrorCode } from '#errors'
import { Envelope, envelopeTypes, type EnvelopeType } from './envelope.ts'

/** The version of the frames that this release speaks. */
export const busVersion = 1

/** How frames are written: protobuf in binary messages, or its JSON mapping in text messages. */
export type FrameFormat = 'protobuf' | 'json'

type Known<Body> = Extract<Body, { readonly case: string }>
export type ClientBody = Known<WireClientFrame['frame']>
export type ServerBody = Known<WireServerFrame['frame']>
/** A frame as it is written: fields that are left out have their defaults. */
export type ClientBodyInit = Known<NonNullable<MessageInitShape<typeof ClientFrameSchema>['frame']>>
export type ServerBodyInit = Known<NonNullable<MessageInitShape<typeof ServerFrameSchema>['frame']>>

/** `body` is undefined for a frame that only newer releases know. */
export interface ClientFrame {
  /** 0 where no reply is asked for. */
  readonly correlation: number
  readonly body: ClientBody | undefined
}

export interface ServerFrame {
  /** 0 for what comes by itself. */
  readonly replyTo: number
  readonly body: ServerBody | undefined
}

/** Throws `frame.invalid`. */
export function readClientFrame(data: Uint8Array | string): ClientFrame {
  const { correlation, frame } = read(ClientFrameSchema, data)
  return { correlation, body: frame.case === undefined ? undefined : frame }
}

/** Throws `frame.invalid`. */
export function readServerFrame(data: Uint8Array | string): ServerFrame {
  const { replyTo, frame } = read(ServerFrameSchema, data)
  return { replyTo, body: frame.case === undefined ? undefined : frame }
}

export function writeClientFrame(
  frame: ClientBodyInit,
  { correlation = 0, format = 'protobuf' }: { readonly correlation?: number; readonly format?: FrameFormat } = {},
): Uint8Array<ArrayBuffer> | string {
  return write(ClientFrameSchema, { correlation, frame }, format)
}

export function writeServerFrame(
  frame: ServerBodyInit,
  { replyTo = 0, format = 'protobuf' }: { readonly replyTo?: number; readonly format?: FrameFormat } = {},
): Uint8Array<ArrayBuffer> | string {
  return write(ServerFrameSchema, { replyTo, frame }, format)
}

/** The frame in its binary form, which brokers keep. */
export function serverFrameBytes(frame: ServerBodyInit): Uint8Array<ArrayBuffer> {
  return toBinary(ServerFrameSchema, create(ServerFrameSchema, { frame }))
}

const wireTypes: Readonly<Record<EnvelopeType, WireType>> = {
  event: WireType.EVENT,
  job: WireType.JOB,
  job_result: WireType.JOB_RESULT,
  stream_start: WireType.STREAM_START,
  stream_chunk: WireType.STREAM_CHUNK,
  stream_end: WireType.STREAM_END,
  control: WireType.CONTROL,
}

export function toWireEnvelope(envelope: Envelope): MessageInitShape<typeof EnvelopeSchema> {
  const { id, type, topic, ts, schema, payload, trace = {}, job_id: jobId = '', status = '', n = 0, seq = 0 } = envelope
  return { id, type: wireTypes[type], topic, ts, schema, payload, trace, jobId, status, n: BigInt(n), seq: BigInt(seq) }
}

/** Throws `frame.invalid` for what is no envelope. */
export function fromWireEnvelope(wire: WireEnvelope): Envelope {
  const parsed = Envelope.safeParse({
    id: wire.id,
    type: envelopeTypes.find(type => wireTypes[type] === wire.type),
    topic: wire.topic,
    ts: wire.ts,
    schema: wire.schema,
    payload: wire.payload,
    ...(Object.keys(wire.trace).length > 0 && { trace: wire.trace }),
    ...(wire.jobId !== '' && { job_id: wire.jobId }),
    ...(wire.status !== '' && { status: wire.status }),
    ...(wire.n > 0n && { n: fromWireNumber(wire.n) }),
    ...(wire.seq > 0n && { seq: fromWireNumber(wire.seq) }),
  })
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new AppError(
    'frame.invalid',
    `The envelope is not valid: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`,
  )
}

/** Numbers, sizes and times are at most 2^53 - 1 everywhere. Throws `frame.invalid`. */
export function fromWireNumber(wire: bigint): number {
  if (wire > BigInt(Number.MAX_SAFE_INTEGER)) throw new AppError('frame.invalid', `${wire} is more than 2^53 - 1.`)
  return Number(wire)
}

/** The error that an `Error` frame speaks of; codes that only newer releases have are `internal`. */
export function fromWireError({ code, message }: { readonly code: string; readonly message: string }): AppError {
  const known = Object.hasOwn(errorCodes, code)
  return new AppError(known ? (code as ErrorCode) : 'internal', known ? message : `${message} (code ${code})`)
}

function read<Schema extends DescMessage>(schema: Schema, data: Uint8Array | string): MessageShape<Schema> {
  try {
    return typeof data === 'string'
      ? fromJsonString(schema, data, { ignoreUnknownFields: true })
      : fromBinary(schema, data, { readUnknownFields: false })
  } catch (error) {
    const form = typeof data === 'string' ? 'JSON form of a frame' : 'frame'
    throw new AppError('frame.invalid', `This is no ${form} of slipway.bus.v1.`, { cause: error })
  }
}

function write<Schema extends DescMessage>(
  schema: Schema,
  init: MessageInitShape<Schema>,
  format: FrameFormat,
): Uint8Array<ArrayBuffer> | string {
  const message = create(schema, init)
  return format === 'json' ? toJsonString(schema, message) : toBinary(schema, message)
}
