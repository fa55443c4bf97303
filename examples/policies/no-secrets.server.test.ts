import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { putPolicy, PolicyName } from '@slipway/protocol/policies'
import { connectBus } from '@slipway/sdk/bus'
import { createClient } from '@slipway/sdk/client'
import { temporaryFolder } from '@slipway/server/app/testing'
import { expect, test } from 'vitest'
import { startSlipway } from '../../tests/testbed/slipway.ts'

const module = readFileSync(join(import.meta.dirname, 'no-secrets/policy.wasm'))
const schema = 'arqonbus.test.thing.v1'

test('[SHIELD-30] the example lets no keys on the bus', async () => {
  await using server = await startSlipway()
  await using bus = await connectBus(server.url)
  const publish = (payload: unknown) => bus.publish({ topic: 'input.assets', schema, payload })
  const pem = '-----BEGIN PRIVATE KEY-----'
  await publish(pem)
  await createClient({ url: server.url }).call(putPolicy, {
    params: { name: PolicyName.parse('no-secrets') },
    body: { topics: '>', module: module.toString('base64') },
  })
  const refused = { code: 'policy.denied', message: expect.stringContaining('there is a') as unknown }
  await expect(publish(pem)).rejects.toMatchObject(refused)
  await expect(publish({ nested: { key: `AKIA${'A1'.repeat(8)}` } })).rejects.toMatchObject(refused)
  await expect(bus.publish({ topic: 'genesis.jobs', schema, payload: pem })).rejects.toMatchObject(refused)
  await publish('AKIA is no key, and neither is a PRIVATE KEY')
  await publish('x'.repeat(500_000))
  await publish(new Uint8Array(0))
})

const compiler = join(import.meta.dirname, 'node_modules/assemblyscript/bin/asc.js')

test.skipIf(!existsSync(compiler))('[SHIELD-30] its module is what becomes of its source', async () => {
  await using folder = await temporaryFolder()
  const out = join(folder.path, 'policy.wasm')
  const args = [compiler, 'no-secrets/assembly/policy.ts', '--config', 'asconfig.json', '--outFile', out]
  execFileSync(process.execPath, args, { cwd: import.meta.dirname })
  expect(readFileSync(out).equals(module)).toBe(true)
})
