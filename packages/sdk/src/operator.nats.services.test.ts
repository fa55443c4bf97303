import { testServer } from '@slipway/server/app/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startNats, whyNoNats, type NatsServer } from '../../../tests/testbed/nats.ts'
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
