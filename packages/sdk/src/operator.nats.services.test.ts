import { afterAll, beforeAll, describe } from 'vitest'
import { startNats, whyNoNats, type NatsServer } from '../../../tests/testbed/nats.ts'
import { operatorContract, type Carrier } from './operator.contract.ts'

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
})
