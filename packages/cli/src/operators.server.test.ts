import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { connectBus } from '@slipway/sdk/bus'
import { connectOperator } from '@slipway/sdk/operator'
import { temporaryFolder } from '@slipway/server/app/testing'
import { constantPolicy } from '@slipway/server/features/shield/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository, slipway, startSlipway, type Server } from '../../../tests/testbed/slipway.ts'

let server: Server
beforeAll(async () => {
  server = await startSlipway()
})
afterAll(() => server[Symbol.asyncDispose]())

test('[CLI-40] lists operators and does to them what is asked', async () => {
  expect((await server.cli(['operators'])).stdout).toContain('slipway operator new')
  const operator = connectOperator(server.url, undefined, { id: 'sum-1', type: 'sum' })
  operator.subscribe('sum.jobs', () => null)
  const list = async (): Promise<string> => (await server.cli(['operators', '--topic', 'sum.jobs'])).stdout
  await expect.poll(list, { timeout: 20_000 }).toMatch(/sum-1 +online +prototype +0\/1 +sum\.jobs/)
  expect(await server.cli(['operators', 'quarantine', 'sum-1', '--reason', 'A test'])).toMatchObject({ code: 0 })
  expect((await server.cli(['operators', 'sum-1'])).stdout).toMatch(/In quarantine since .*A test/)
  expect((await server.cli(['operators', 'release', 'sum-1'])).stdout).toContain('sum-1 is online')
  expect(await server.cli(['operators', 'delete', 'sum-1'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('connected') as string,
  })
  expect(await server.cli(['operators', 'drain', 'sum-1'])).toMatchObject({ code: 0 })
  await operator.ended
  expect(await server.cli(['operators', 'delete', 'sum-1'])).toMatchObject({ code: 0 })
  expect(parseJson((await server.cli(['operators', '--json'])).stdout)).toEqual({ items: [], next: null })
  expect(await server.cli(['operators', 'sum-1'])).toMatchObject({ code: 1 })
})

test('[CLI-41] writes an operator that does jobs', async () => {
  await using folder = await temporaryFolder()
  expect(await slipway(['operator', 'new', 'words', '--in', folder.path])).toMatchObject({ code: 0 })
  expect(await slipway(['operator', 'new', 'words', '--in', folder.path])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('not empty') as string,
  })
  expect(await slipway(['operator', 'new', '../evil name', '--in', folder.path])).toMatchObject({ code: 2 })
  // In the place of what npm would install.
  await symlink(join(repository, 'node_modules'), join(folder.path, 'node_modules'))
  const child = spawn(process.execPath, [join(folder.path, 'words/operator.js')], {
    env: { PATH: process.env['PATH'], SLIPWAY_URL: server.url },
    stdio: 'inherit',
  })
  try {
    await using bus = await connectBus(server.url)
    const job = { topic: 'words.jobs', schema: 'arqonbus.words.job.v1', payload: { text: 'three short words' } }
    const { id } = await bus.publish(job)
    const values: unknown[] = []
    for await (const { type, payload } of bus.followJob(id))
      if (type !== 'stream_start') values.push(parseJson(new TextDecoder().decode(payload)))
    expect(values).toContainEqual({ job_id: id, words: 3 })
    expect(values.slice(0, 3)).toEqual([{ word: 'three' }, { word: 'short' }, { word: 'words' }])
    child.kill('SIGTERM')
    expect(await once(child, 'exit')).toEqual([0, null])
  } finally {
    child.kill('SIGKILL')
  }
})

test('[CLI-43] loads policies, puts them in and out of force, and shows who did it', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'gate.wasm')
  await writeFile(file, constantPolicy(0))
  expect((await server.cli(['policies'])).stdout).toContain('slipway policies put')
  const put = await server.cli(['policies', 'put', 'gate', file, '--topics', 'none.>', '--inactive'])
  expect(put).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('gate has version 1 and is not active') as string,
  })
  expect((await server.cli(['policies', 'activate', 'gate'])).stdout).toContain('gate is active')
  expect((await server.cli(['policies', 'list'])).stdout).toMatch(/gate +1 +active +none\.>/)
  expect((await server.cli(['policies', 'deactivate', 'gate'])).stdout).toContain('gate is not active')
  expect(parseJson((await server.cli(['policies', '--json'])).stdout)).toMatchObject([{ name: 'gate', active: false }])
  await writeFile(file, 'no module')
  expect(await server.cli(['policies', 'put', 'gate', file, '--topics', '>'])).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('[policy.invalid]') as string,
  })
  expect(await server.cli(['policies', 'put', 'gate', file])).toMatchObject({ code: 2 })
  expect(await server.cli(['policies', 'delete', 'gate'])).toMatchObject({ code: 0 })
  expect(await server.cli(['policies', 'delete', 'gate'])).toMatchObject({ code: 1 })
  const { stdout, stderr } = await server.cli(['policies', 'history', 'gate', '--limit', '3'])
  expect(stdout).toMatch(/deleted[^]*deactivated[^]*activated/)
  const [, cursor = ''] = /--after (\d+)/.exec(stderr) ?? []
  const rest = await server.cli(['policies', 'history', 'gate', '--after', cursor, '--json'])
  expect(parseJson(rest.stdout)).toMatchObject({ items: [{ change: 'put', version: 1 }], next: null })
})

test('[CLI-42] declares a circuit from a file, and hands on', async () => {
  await using folder = await temporaryFolder()
  const file = join(folder.path, 'copy.yaml')
  await writeFile(
    file,
    'circuit: copy\nedges:\n  - { from: input.assets, to: copied.assets, when: keep, map: "{ \\"n\\": n }" }\n',
  )
  expect((await server.cli(['circuits'])).stdout).toContain('slipway circuits apply')
  expect((await server.cli(['circuits', 'apply', file, '--enable'])).stdout).toContain(
    'copy has version 1 and is enabled',
  )
  await using bus = await connectBus(server.url)
  for (const n of [1, 2])
    await bus.publish({ topic: 'input.assets', schema: 'arqonbus.input.asset.v1', payload: { keep: n === 2, n } })
  for await (const { payload } of bus.subscribe('copied.assets', { after: 0 })) {
    expect(parseJson(new TextDecoder().decode(payload))).toEqual({ n: 2 })
    break
  }
  expect((await server.cli(['circuits', 'copy'])).stdout).toMatch(
    /input\.assets → copied\.assets when keep\n1 handed on, 1 held back/,
  )
  await writeFile(file, 'circuit: copy\nedges:\n  - { from: input.assets, to: other.assets }\n')
  expect((await server.cli(['circuits', 'apply', file, '--check'])).stdout).toContain('would have version 2')
  expect(await server.cli(['circuits', 'apply', file, '--check', '--enable'])).toMatchObject({ code: 2 })
  expect(await server.cli(['circuits', 'apply', file])).toMatchObject({ code: 0 })
  expect((await server.cli(['circuits', 'rollback', 'copy', '1'])).stdout).toContain('copy has version 3')
  expect((await server.cli(['circuits', 'versions', 'copy'])).stdout).toMatch(/3 .*what 1 was\n2 .*\n1 /)
  expect((await server.cli(['circuits', 'versions', 'copy', '2'])).stdout).toContain('to: other.assets')
  expect(await server.cli(['circuits', 'rollback', 'copy', '9'])).toMatchObject({ code: 1 })
  const first = await server.cli(['circuits', 'versions', 'copy', '-n', '2', '--json'])
  expect(parseJson(first.stdout)).toMatchObject({ items: [{ version: 3, restored: 1 }, { version: 2 }], next: '2' })
  expect((await server.cli(['circuits', 'pause', 'copy'])).stdout).toContain('copy is paused')
  expect((await server.cli(['circuits'])).stdout).toMatch(/copy +3 +paused +1/)
  await writeFile(file, 'circuit: copy\nedges:\n  - { from: genesis.jobs, to: a.b }\n')
  expect(await server.cli(['circuits', 'apply', file])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('edges.0.from') as string,
  })
  expect(await server.cli(['circuits', 'delete', 'copy'])).toMatchObject({ code: 0 })
  expect(await server.cli(['circuits', 'copy'])).toMatchObject({ code: 1 })
})
