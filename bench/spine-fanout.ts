import { setTimeout as sleep } from 'node:timers/promises'
import { readServerFrame, writeClientFrame, type ClientBodyInit } from '@slipway/protocol/bus/frames'
import { connectBus } from '@slipway/sdk/bus'
import { WebSocket } from 'ws'
import { makeHome } from './contender.ts'
import { pick, roundsInTurn, rowsOf, type Field } from './field.ts'
import type { Row } from './report.ts'
import { quantile } from './rounds.ts'
import { startSpineServer } from './spine-ours.ts'
import type { QueueContender } from './spine-queue.ts'

const sockets = 1_000
const openedAtOnce = 50
const everyMs = 250
const payloadBytes = 200
/** The stalled socket follows these too, so that its connection is full soon; nobody else gets them. */
const floodBytes = 256_000
const warmUpMs = 3_000
const readingMs = 20_000
const longestStallMs = 90_000
const settleMs = 10_000

const topic = 'bench.ticks'
const floodTopic = 'bench.flood'
const schema = 'arqonbus.bench.tick.v1'

interface Spread {
  readonly p50: number
  readonly p99: number
}

interface Fanout {
  readonly reading: Spread
  readonly stalled: Spread
  /** From the moment on which the socket stopped reading to its end. */
  readonly cutAfterMs: number
  readonly reason: string
}

/** What a topic with many sockets costs each of them, and what it costs the others that one of them does not read. */
export async function benchFanout(field: Field<QueueContender>): Promise<Row[]> {
  const ours = { ...field, contenders: field.contenders.filter(({ isOurs }) => isOurs) }
  const found = await roundsInTurn(ours, `fan-out to ${sockets} sockets`, contender => fanOut(field, contender))
  const reasons = [...new Set([...found.values()].flat().map(({ reason }) => reason))].join(', ')
  const name = (what: string): string => `fan-out to ${sockets} sockets, ${what}`
  const lower = { unit: 'ms', better: 'lower', note: `a message every ${everyMs} ms, publish to delivery` } as const
  return [
    ...rowsOf(
      { ...lower, name: name('all reading, p50') },
      pick(found, ({ reading }) => reading.p50),
    ),
    ...rowsOf(
      { ...lower, name: name('all reading, p99') },
      pick(found, ({ reading }) => reading.p99),
    ),
    ...rowsOf(
      { ...lower, name: name('one stalled, p50 of the others') },
      pick(found, ({ stalled }) => stalled.p50),
    ),
    ...rowsOf(
      { ...lower, name: name('one stalled, p99 of the others') },
      pick(found, ({ stalled }) => stalled.p99),
    ),
    ...rowsOf(
      { name: name('p99 with one stalled over p99 with all reading'), unit: 'times', better: 'lower' },
      pick(found, ({ reading, stalled }) => stalled.p99 / reading.p99),
    ),
    ...rowsOf(
      { name: name('the stalled one is cut after'), unit: 's', better: 'lower', note: `reason: ${reasons}` },
      pick(found, ({ cutAfterMs }) => cutAfterMs / 1000),
    ),
  ]
}

async function fanOut({ cluster }: Field<QueueContender>, { store }: QueueContender): Promise<Fanout> {
  await using home = await makeHome(store, cluster)
  const log = new ServerLog()
  await using server = await startSpineServer(home, { onLog: line => log.take(line) })
  const url = `${server.url.replace('http', 'ws')}/bus`
  const followers: Follower[] = []
  using _ = { [Symbol.dispose]: () => followers.forEach(follower => follower.close()) }
  for (let opened = 0; opened < sockets - 1; opened += openedAtOnce) {
    const some = Array.from({ length: Math.min(openedAtOnce, sockets - 1 - opened) }, () => Follower.open(url, [topic]))
    followers.push(...(await Promise.all(some)))
  }
  const sleeper = await Follower.open(url, [topic, floodTopic])
  using __ = { [Symbol.dispose]: () => sleeper.close() }
  await using ticks = await Ticks.start(server.url)
  await sleep(warmUpMs)
  const began = ticks.sentAt.length
  await sleep(readingMs)
  const stalledFrom = ticks.sentAt.length
  const stalledAt = performance.now()
  sleeper.stall()
  const cut = await log.cut(AbortSignal.timeout(longestStallMs), sleeper.session)
  const ended = ticks.sentAt.length
  await ticks.stop()
  await untilAllHave(followers, ended)
  const between = (from: number, to: number): Spread => {
    const ms = followers.flatMap(({ gotAt }) =>
      gotAt.slice(from, to).map((at, index) => at - (ticks.sentAt[from + index] ?? at)),
    )
    return { p50: quantile(ms, 0.5), p99: quantile(ms, 0.99) }
  }
  return {
    reading: between(began, stalledFrom),
    stalled: between(stalledFrom, ended),
    cutAfterMs: cut.at - stalledAt,
    reason: cut.reason,
  }
}

async function untilAllHave(followers: readonly Follower[], count: number): Promise<void> {
  const giveUpAt = performance.now() + settleMs
  while (followers.some(({ gotAt }) => gotAt.length < count)) {
    if (performance.now() > giveUpAt) throw new Error('Not every socket has got every message.')
    await sleep(20)
  }
}

/** A socket that follows topics, and notes when each message of the first of them came. */
class Follower {
  readonly gotAt: number[] = []
  session = ''
  readonly #socket: WebSocket
  #isStalled = false

  private constructor(socket: WebSocket) {
    this.#socket = socket
  }

  /** Resolves once it follows all of them. */
  static async open(url: string, topics: readonly string[]): Promise<Follower> {
    const socket = new WebSocket(url, { perMessageDeflate: false })
    const follower = new Follower(socket)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    let left = topics.length
    socket.once('error', reject)
    socket.once('close', (code, reason) =>
      reject(new Error(`The server closed a socket: ${code} ${reason.toString()}`)),
    )
    socket.on('message', data => {
      const at = performance.now()
      // To read the whole of each frame would be most of the work here.
      if (left === 0) return follower.#take(data as Buffer, at)
      const { body } = readServerFrame(data as Buffer)
      if (body?.case === 'welcome') follower.session = body.value.session
      if (body?.case === 'error') reject(new Error(body.value.message))
      if (body?.case === 'subscribed' && --left === 0) resolve()
    })
    socket.once('open', () => {
      const send = (body: ClientBodyInit): void => socket.send(writeClientFrame(body, { correlation: 1 }))
      send({ case: 'hello', value: { version: 1, client: 'bench' } })
      topics.forEach((value, index) =>
        send({ case: 'subscribe', value: { subscription: index + 1, source: { case: 'topic', value } } }),
      )
    })
    await promise
    // From here on whoever ends it has a reason.
    socket.removeAllListeners('close').on('error', () => undefined)
    return follower
  }

  /** Reads nothing any more. */
  stall(): void {
    this.#isStalled = true
    this.#socket.pause()
  }

  close(): void {
    if (this.#isStalled) this.#socket.resume()
    this.#socket.terminate()
  }

  #take(frame: Buffer, at: number): void {
    if (frame.length < floodBytes) this.gotAt.push(at)
  }
}

/** Publishes at a steady rate. */
class Ticks implements AsyncDisposable {
  /** Of each message, in the order of their numbers. */
  readonly sentAt: number[] = []
  readonly #bus: Awaited<ReturnType<typeof connectBus>>
  readonly #over = new AbortController()
  readonly #work: Promise<void>

  private constructor(bus: Awaited<ReturnType<typeof connectBus>>) {
    this.#bus = bus
    this.#work = this.#tick()
  }

  static async start(url: string): Promise<Ticks> {
    return new Ticks(await connectBus(url))
  }

  /** Resolves once everything that was sent is on the server's disk. */
  async stop(): Promise<void> {
    this.#over.abort()
    await this.#work
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop()
    await this.#bus.close()
  }

  async #tick(): Promise<void> {
    const payload = new Uint8Array(payloadBytes).fill(0x20)
    const flood = new Uint8Array(floodBytes).fill(0x20)
    const published: Promise<unknown>[] = []
    const began = performance.now()
    for (let n = 1; !this.#over.signal.aborted; n++) {
      this.sentAt.push(performance.now())
      published.push(this.#bus.publish({ topic, schema, payload }))
      await sleep(Math.max(0, began + (n - 0.5) * everyMs - performance.now()))
      published.push(this.#bus.publish({ topic: floodTopic, schema, payload: flood }))
      await sleep(Math.max(0, began + n * everyMs - performance.now()))
    }
    await Promise.all(published)
  }
}

interface Cut {
  readonly reason: string
  readonly at: number
}

/** What the server's log says of clients that are gone. */
class ServerLog {
  readonly #gone = new Map<string, Cut>()
  #onLine: () => void = () => undefined

  take(line: string): void {
    const { msg, session, reason } = JSON.parse(line) as Readonly<Record<string, string | undefined>>
    if (msg !== 'bus client gone' || session === undefined || reason === undefined) return
    this.#gone.set(session, { reason, at: performance.now() })
    this.#onLine()
  }

  /** Resolves once the server has ended the session; rejects with the signal. */
  async cut(signal: AbortSignal, session: string): Promise<Cut> {
    for (;;) {
      const cut = this.#gone.get(session)
      if (cut) return cut
      if (signal.aborted) throw new Error('The stalled socket was not cut in time.')
      await new Promise<void>(resolve => {
        this.#onLine = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }
}
