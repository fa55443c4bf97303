import { once } from 'node:events'
import {
  readServerFrame,
  writeClientFrame,
  type ClientBodyInit,
  type FrameFormat,
  type ServerBody,
  type ServerFrame,
} from '@slipway/protocol/bus/frames'
import { WebSocket } from 'ws'

type BodyOf<Case extends ServerBody['case']> = Extract<ServerBody, { readonly case: Case }>['value']

export interface RawBus extends Disposable {
  readonly socket: WebSocket
  /** Every frame so far. */
  readonly frames: readonly ServerFrame[]
  /** Code and reason of the end. */
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  send(body: ClientBodyInit): void
  /** Sends, and gives the reply to it. */
  ask<Case extends ServerBody['case']>(body: ClientBodyInit, expected: Case): Promise<BodyOf<Case>>
  /** The next frame that is no reply. */
  next<Case extends ServerBody['case']>(expected: Case): Promise<BodyOf<Case>>
}

export interface RawBusOptions {
  readonly token?: string | undefined
  readonly format?: FrameFormat
  /** Whether Hello is left to the test. */
  readonly silent?: boolean
}

export const schema = 'arqonbus.test.thing.v1'

/** A client of the bus that does nothing by itself but say Hello. */
export async function rawBus(url: string, options: RawBusOptions = {}): Promise<RawBus> {
  const headers = options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }
  const socket = new WebSocket(`${url.replace('http', 'ws')}/bus`, { headers })
  const frames: ServerFrame[] = []
  const taken = new Set<ServerFrame>()
  let wake = Promise.withResolvers<void>()
  socket.on('message', (data, isBinary) => {
    frames.push(readServerFrame(isBinary ? (data as Buffer) : (data as Buffer).toString()))
    wake.resolve()
    wake = Promise.withResolvers()
  })
  const closed = once(socket, 'close').then(([code, reason]) => {
    wake.resolve()
    return { code: code as number, reason: String(reason) }
  })
  await once(socket, 'open')
  let correlation = 0
  const send = (body: ClientBodyInit, number = 0): void =>
    socket.send(writeClientFrame(body, { correlation: number, format: options.format ?? 'protobuf' }))
  const find = async (wanted: (frame: ServerFrame) => boolean): Promise<ServerBody> => {
    for (;;) {
      const found = frames.find(frame => !taken.has(frame) && wanted(frame))
      if (found?.body) {
        taken.add(found)
        return found.body
      }
      if (socket.readyState === WebSocket.CLOSED) throw new Error('The socket is closed.')
      await wake.promise
    }
  }
  const bus: RawBus = {
    socket,
    frames,
    closed,
    send,
    async ask(body, expected) {
      const number = ++correlation
      send(body, number)
      return bodyOf(await find(({ replyTo }) => replyTo === number), expected)
    },
    next: async expected => bodyOf(await find(({ replyTo }) => replyTo === 0), expected),
    [Symbol.dispose]: () => socket.terminate(),
  }
  if (options.silent !== true) await bus.ask({ case: 'hello', value: { version: 1, client: 'test' } }, 'welcome')
  return bus
}

export function bytes(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value))
}

export function text(payload: Uint8Array | undefined): string {
  return new TextDecoder().decode(payload)
}

function bodyOf<Case extends ServerBody['case']>(body: ServerBody, expected: Case): BodyOf<Case> {
  if (body.case !== expected) throw new Error(`${expected} was expected, and ${body.case} came: ${stringOf(body)}`)
  return body.value as BodyOf<Case>
}

function stringOf(body: ServerBody): string {
  return JSON.stringify(body.value, (_key, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))
}
