import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { compileCache } from '@slipway/server/app/testing'
import { expect, test } from 'vitest'
import { repository } from '../../../tests/testbed/slipway.ts'

test('[CLI-16] the demo deploys the examples, runs one to its end and exits with 0', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  const port = typeof address === 'object' ? String(address?.port) : ''
  const demo = spawn(
    process.execPath,
    [join(repository, 'packages/cli/src/demo.ts'), '--once', '--temp', '--port', port],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...compileCache(), PATH: process.env['PATH'], HOME: process.env['HOME'] },
    },
  )
  const [said] = await Promise.all([text(demo.stdout), once(demo, 'close')])
  taken.close()
  expect(said).toContain(`Port ${port} is in use`)
  for (const plan of ['document-analysis', 'long-addition', 'triage']) expect(said).toContain(`Deployed ${plan}`)
  expect(said).toMatch(/✔ run_\w+ completed/)
  expect(said).toMatch(/See it at http:\/\/127\.0\.0\.1:\d+\/runs\/run_/)
  expect(demo.exitCode).toBe(0)
})

test('[CLI-17] setting up does nothing when everything is installed', () => {
  const { status, stdout } = spawnSync(process.execPath, [join(repository, 'tools/setup.mjs')], { encoding: 'utf8' })
  expect({ status, stdout }).toEqual({ status: 0, stdout: '' })
})
