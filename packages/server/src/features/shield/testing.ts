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
  /** The next frame of this kind that is no reply. */
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
  const waiting: ServerFrame[] = []
  let wake = Promise.withResolvers<void>()
  socket.on('message', (data, isBinary) => {
    const frame = readServerFrame(isBinary ? (data as Buffer) : (data as Buffer).toString())
    frames.push(frame)
    waiting.push(frame)
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
      const at = waiting.findIndex(wanted)
      const [found] = at < 0 ? [] : waiting.splice(at, 1)
      if (found?.body) return found.body
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
    next: async expected =>
      bodyOf(await find(({ replyTo, body }) => replyTo === 0 && body?.case === expected), expected),
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

type Bytes = readonly number[]

/** A module as tests write it; function bodies are instructions without the closing `end`. */
export interface WasmParts {
  readonly imports?: readonly { readonly name: string; readonly from?: string; readonly params: number }[]
  /** In pages; without a maximum where there is none. */
  readonly memory?: { readonly min: number; readonly max?: number }
  readonly table?: { readonly min: number; readonly max?: number }
  /** Take `params` numbers and give one. Their indexes follow those of the imports. */
  readonly functions: readonly { readonly name?: string; readonly params: number; readonly body: Bytes }[]
  /** Instructions of a function that runs at the start. */
  readonly start?: Bytes
  /** At which place of the memory which text stands. */
  readonly data?: Readonly<Record<number, string>>
}

const i32 = 0x7f
/** Instructions. */
export const wasmCode = {
  constant: (value: number): number[] => [0x41, ...signed(value)],
  local: (index: number): number[] => [0x20, index],
  call: (index: number): number[] => [0x10, index],
  drop: [0x1a],
  trap: [0x00],
  /** Never ends. */
  loop: [0x03, 0x40, 0x0c, 0x00, 0x0b],
  grow: [0x40, 0x00],
  load: [0x28, 0x02, 0x00],
  equal: [0x46],
} as const

export function wasmModule(parts: WasmParts): Uint8Array<ArrayBuffer> {
  const { imports = [], memory = { min: 1, max: 1 }, table, functions, start, data = {} } = parts
  const type = (params: number): Bytes => [0x60, params, ...Array<number>(params).fill(i32), 1, i32]
  const all = [...functions, ...(start ? [{ params: 0, body: start }] : [])]
  const types = [...imports, ...functions].map(({ params }) => type(params))
  const startType: Bytes = [0x60, 0, 0]
  const limits = ({ min, max }: { readonly min: number; readonly max?: number }): Bytes =>
    max === undefined ? [0, ...leb(min)] : [1, ...leb(min), ...leb(max)]
  const exported = functions.flatMap(({ name }, at) =>
    name === undefined ? [] : [[...named(name), 0, ...leb(imports.length + at)]],
  )
  const code = all.map(({ body }) => {
    const whole = [0, ...body, 0x0b]
    return [...leb(whole.length), ...whole]
  })
  const texts = Object.entries(data).map(([at, written]) => [0, 0x41, ...signed(Number(at)), 0x0b, ...named(written)])
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, list(start ? [...types, startType] : types)),
    ...section(2, list(imports.map(({ name, from = 'env' }, at) => [...named(from), ...named(name), 0, ...leb(at)]))),
    ...section(3, list(all.map((_, at) => leb(imports.length + at)))),
    ...(table ? section(4, list([[0x70, ...limits(table)]])) : []),
    ...section(5, list([limits(memory)])),
    ...section(7, list([[...named('memory'), 2, 0], ...exported])),
    ...(start ? section(8, leb(imports.length + functions.length)) : []),
    ...section(10, list(code)),
    ...section(11, list(texts)),
  ])
}

/** A policy that says the same of everything. */
export function constantPolicy(answer: number): Uint8Array<ArrayBuffer> {
  return wasmModule({ functions: [{ name: 'policy_check', params: 2, body: wasmCode.constant(answer) }] })
}

export function base64(module: Uint8Array): string {
  return Buffer.from(module).toString('base64')
}

function section(id: number, content: Bytes): Bytes {
  return [id, ...leb(content.length), ...content]
}

function list(items: readonly Bytes[]): Bytes {
  return [...leb(items.length), ...items.flat()]
}

function named(name: string): Bytes {
  const written = new TextEncoder().encode(name)
  return [...leb(written.length), ...written]
}

function leb(value: number): Bytes {
  return value < 0x80 ? [value] : [(value % 0x80) + 0x80, ...leb(Math.floor(value / 0x80))]
}

function signed(value: number): number[] {
  const low = value & 0x7f
  const rest = value >> 7
  const isLast = (rest === 0 && low < 0x40) || (rest === -1 && low >= 0x40)
  return isLast ? [low] : [low | 0x80, ...signed(rest)]
}
