import { messagesContract } from '@slipway/server/features/spine/messages.contract'
import { schemasContract } from '@slipway/server/features/spine/schemas.contract'
import { queueContract, type OpenSpine } from '@slipway/server/features/spine/spine.contract'
import { upkeepContract } from '@slipway/server/features/spine/upkeep.contract'
import { afterAll, beforeAll, describe } from 'vitest'
import { startNats, whyNoNats, type NatsServer } from '../testbed/nats.ts'
import { relayedSpine } from '../testbed/relayed-spine.ts'

const why = whyNoNats()

describe.skipIf(why !== null)(`the Spine with operators behind NATS${why === null ? '' : ` (${why})`}`, () => {
  let broker: NatsServer
  beforeAll(async () => {
    broker = await startNats()
  })
  afterAll(() => broker[Symbol.asyncDispose]())
  const open: OpenSpine = options => relayedSpine(broker.url, options)
  queueContract(open)
  upkeepContract(open)
  messagesContract(open)
  schemasContract(open)
})
