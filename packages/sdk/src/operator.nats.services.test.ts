import { connect } from '@nats-io/transport-node'
import { FrameParts, moreHeader } from '@slipway/protocol/bus/broker'
import { readClientFrame, serverFrameBytes, writeServerFrame, type ServerBodyInit } from '@slipway/protocol/bus/frames'
import { connectionSubjects, helloSubject } from '@slipway/protocol/bus/subjects'
import { testServer } from '@slipway/server/app/testing'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { startNats, whyNoNats, type NatsServer } from '../../../tests/testbed/nats.ts'
import { connectBus } from './bus.ts'
import type { BusState } from './bus-link.ts'
import { operatorContract, type Carrier } from './operator.contract.ts'
import { connectOperator } from './operator.ts'

const why = whyNoNats()
const token = 'operator-token-of-16'

describe.skipIf(why !== null)(`operators of the SDK behind NATS${why === null ? '' : ` (${why})`}`, () => {
  let broker: NatsServer
  beforeAll(async () => {
    broker = await startNats()
  })
  afterAll(() => broker[Symbol.asyncDispose]())
  const behind: Carrier = {
    get settings() {
      return { natsUrl: broker.url, apiToken: token }
    },
    token,
    urlOf: () => broker.url,
  }
  operatorContract(behind)

  test('[SDK-39] what is large waits for a server that owes answers', async () => {
    const nc = await connect({ servers: `127.0.0.1:${broker.port}` })
    onTestFinished(() => nc.close())
    const { toServer, toClient } = connectionSubjects('slow', 'one')
    nc.subscribe(helloSubject, {
      callback: (_, message) =>
        void message.respond(serverFrameBytes({ case: 'opened', value: { organisation: 'slow', connection: 'one' } })),
    })
    const parts = new FrameParts(2_000_000)
    const owed: { readonly correlation: number; readonly bytes: number }[] = []
    let most = 0
    const answer = (body: ServerBodyInit, replyTo: number): void =>
      nc.publish(toClient, writeServerFrame(body, { replyTo }))
    nc.subscribe(toServer, {
      callback: (_, { data, headers }) => {
        if (data.length === 0) return
        const frame = parts.add(data, { isLast: headers?.has(moreHeader) !== true })
        if (frame === null) return
        const { correlation, body } = readClientFrame(frame)
        if (body?.case === 'hello') answer({ case: 'welcome', value: { version: 1 } }, correlation)
        if (body?.case !== 'publish') return
        owed.push({ correlation, bytes: frame.length })
        const bytes = owed.reduce((sum, one) => sum + one.bytes, 0)
        most = Math.max(most, bytes)
      },
    })
    const answering = setInterval(() => {
      const next = owed.shift()
      if (next) answer({ case: 'published', value: { id: 'x' } }, next.correlation)
    }, 10)
    onTestFinished(() => clearInterval(answering))
    await using bus = await connectBus(broker.url, token)
    const payload = new Uint8Array(1_000_000)
    const events = Array.from({ length: 30 }, () =>
      bus.publish({ topic: 'input.large', schema: 'arqonbus.test.thing.v1', payload }),
    )
    await Promise.all(events)
    expect(most).toBeGreaterThan(2_000_000)
    expect(most).toBeLessThan(12_000_000)
  })

  test('[SDK-38] a broker that is not there is tried until it is', async () => {
    const { port } = broker
    await broker.stop()
    const states: string[] = []
    const onState = ({ type }: BusState): void => void states.push(type)
    const operator = connectOperator(`nats://127.0.0.1:${port}`, token, { id: 'a', type: 'sum', onState })
    operator.subscribe('sum.jobs', () => null)
    await expect.poll(() => states.length).toBeGreaterThan(0)
    await broker.start()
    await using _server = await testServer(behind.settings)
    await expect.poll(() => states.at(-1), { timeout: 30_000 }).toBe('connected')
    await operator.close()
  })
})
