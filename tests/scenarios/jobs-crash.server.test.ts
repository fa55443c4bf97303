import { fileURLToPath } from 'node:url'
import type { StreamFrame } from '@slipway/protocol/jobs'
import { createClient } from '@slipway/sdk/client'
import { followJob } from '@slipway/sdk/job-stream'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { expect, test } from 'vitest'
import { launchChildServer, type LaunchedServer } from '../testbed/child-server.ts'
import { keptPort } from '../testbed/free-port.ts'

const program = fileURLToPath(new URL('../testbed/counting-server.ts', import.meta.url))

/** Frames with a number; where each is from, and what it says. */
function numbered(frames: readonly StreamFrame[], kind: RegExp): string[] {
  return frames
    .filter(({ n, payload }) => n !== undefined && kind.test((payload as { kind: string }).kind))
    .map(({ payload }) => JSON.stringify(payload))
}

test('[JOBS-18] [JOBS-2] [SDK-20] a reader goes on behind its last frame when the server was killed and is back', async () => {
  await using folder = await temporaryDataFolder()
  const port = String(await keptPort())
  const env = { SLIPWAY_PORT: port, SLIPWAY_LOG_LEVEL: 'silent', SLIPWAY_SPINE_LEASE_SECONDS: '1' }
  const launch = (): LaunchedServer => launchChildServer(folder.path, { program, env })
  await using first = launch()
  const client = createClient({ url: await first.ready })
  const { jobId } = await client.jobs.submit('count', { idempotencyKey: 'once' })
  const frames: StreamFrame[] = []
  const reading = (async () => {
    for await (const frame of followJob(client, jobId, { firstDelayMs: 50 })) frames.push(frame)
  })()
  await expect.poll(() => numbered(frames, /chunk/).length, { timeout: 20_000 }).toBe(5)
  await first.kill()
  const before = frames.length
  await using second = launch()
  await second.ready
  await reading
  expect(frames.length).toBeGreaterThan(before)
  expect(frames.at(-1)).toMatchObject({ type: 'result', payload: { status: 'succeeded', payload: 10 } })
  const whole = await Array.fromAsync(followJob(client, jobId))
  for (const kind of [/^line$/, /^stream_/]) {
    const told = numbered(frames, kind)
    expect(told).toEqual(numbered(whole, kind))
    expect(new Set(told).size).toBe(told.length)
  }
  expect(await client.jobs.attempts(jobId)).toMatchObject([{ outcome: 'lost' }, { outcome: 'done' }])
  expect(await client.jobs.submit('count', { idempotencyKey: 'once' })).toEqual({ jobId })
})
