import { CircuitDocument } from '@slipway/protocol/circuits'
import { expect, test } from 'vitest'
import { testServer } from '#app/testing'
import type { Identity } from '#http/authenticate'

test('[CIRCUIT-10] a mapping that does not come back leaves the server ready', async () => {
  await using server = await testServer({ mappingTimeoutMs: 2_000 })
  const { circuits, spine } = server.context
  const me: Identity = { organisation: 'default', subject: 'me', scopes: ['admin'], isOperator: true }
  const map = '($f := function($n, $v) { $n = 0 ? $v : $f($n - 1, {"a": $v, "b": $v}) }; $f(40, 1) = $f(40, 1))'
  const document = CircuitDocument.parse({ circuit: 'stuck', edges: [{ from: 'a.b', to: 'c.d', map }] })
  await circuits.put(me, 'stuck', { document })
  await circuits.enable(me, 'stuck')
  const payload = new TextEncoder().encode('{}')
  await spine.messages.publish('default', { topic: 'a.b', type: 'event', schema: 'arqonbus.a.b.v1', payload })
  for (let n = 0; n < 20; n++) expect((await fetch(`${server.url}/readyz`)).status).toBe(200)
  expect((await circuits.get(me, 'stuck')).counts).toMatchObject({ failed: 0, handed_on: 0 })
  await expect.poll(async () => (await circuits.get(me, 'stuck')).counts.failed, { timeout: 30_000 }).toBe(1)
})
