import type { Envelope } from '@slipway/protocol/bus/envelope'
import { toWireEnvelope, writeServerFrame, type FrameFormat, type ServerBodyInit } from '@slipway/protocol/bus/frames'
import type { Frame } from '#http/frame-sockets'

/** What a batch holds before it is sent without waiting for more. */
const batchBytes = 65_536

/** Frames on their way to a client; what one turn of the server says goes out as one message where the client takes it. */
export class OutgoingFrames {
  /** As the client's first frame has it. */
  format: FrameFormat = 'protobuf'
  takesBatches = false
  readonly #send: (frame: Frame) => void
  #waiting: Uint8Array[] = []
  #bytes = 0

  constructor(send: (frame: Frame) => void) {
    this.#send = send
  }

  add(body: ServerBodyInit, replyTo: number): void {
    this.#put(writeServerFrame(body, { replyTo, format: this.format }))
  }

  addMessage(message: Envelope, subscription: number): void {
    this.#put(messageFrame(message, subscription, this.format))
  }

  /** Sends what waits now. */
  flush(): void {
    const frames = this.#waiting
    const [first] = frames
    this.#waiting = []
    this.#bytes = 0
    if (first !== undefined)
      this.#send(frames.length === 1 ? first : writeServerFrame({ case: 'batch', value: { frames } }))
  }

  #put(frame: Frame): void {
    if (!this.takesBatches || typeof frame === 'string') return this.#send(frame)
    if (this.#waiting.length === 0) process.nextTick(() => this.flush())
    this.#waiting.push(frame)
    this.#bytes += frame.byteLength
    if (this.#bytes >= batchBytes) this.flush()
  }
}

interface Written {
  readonly subscription: number
  readonly format: FrameFormat
  readonly frame: Frame
}

/** As it was written last. */
const written = new WeakMap<Envelope, Written>()

/** A message goes to all who follow its topic, most of whom call that the same, and is written once for them. */
function messageFrame(message: Envelope, subscription: number, format: FrameFormat): Frame {
  const known = written.get(message)
  if (known?.subscription === subscription && known.format === format) return known.frame
  const frame = writeServerFrame(
    { case: 'message', value: { subscription, envelope: toWireEnvelope(message) } },
    { format },
  )
  written.set(message, { subscription, format, frame })
  return frame
}
