import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import type { Envelope } from '@slipway/protocol/bus/envelope'
import { connectBus, type Bus } from '@slipway/sdk/bus'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { expect, onTestFinished, test } from 'vitest'
import { startSlipway } from '../tests/testbed/slipway.ts'

const folder = join(import.meta.dirname, 'operators')

test('[EXAMPLE-20] [EXAMPLE-21] the distiller works behind a proxy as it is', async () => {
  const port = await started('distiller/service.ts', { env: { PORT: '0' } }).then(
    ({ said }) => /port (\d+)/.exec(said)?.[1],
  )
  const bus = await busWith(
    (await readFile(join(folder, 'distiller/operators.yaml'), 'utf8')).replaceAll('3000', port ?? ''),
  )
  const board = { cell: 5, offsetX: 3, offsetY: 1, dark: 40, bright: 200 }
  const done = await submit(bus, 'genesis', { imageData: checkerboard(board, 12), width: 32, height: 24 })
  expect(done.status).toBe('done')
  expect(done.value).toMatchObject({
    job_id: done.jobId,
    seed: { kind: 'NoisyCheckerboard', cell: 5, offsetX: 3, offsetY: 1 },
  })
  const { seed } = done.value as { seed: { dark: number; bright: number; noise: number } }
  expect(Math.abs(seed.dark - 40)).toBeLessThan(4)
  expect(Math.abs(seed.bright - 200)).toBeLessThan(4)
  expect(seed.noise).toBeGreaterThan(3)
  expect(seed.noise).toBeLessThan(9)
  const refused = await submit(bus, 'genesis', { imageData: '', width: 32, height: 24 })
  expect(refused.status).toBe('dead')
  expect(JSON.stringify(refused.value)).toContain('status 400')
  expect(JSON.stringify(refused.value)).not.toContain('127.0.0.1')
})

test('[EXAMPLE-22] [EXAMPLE-23] the gateway hears the tones that its rig plays', async () => {
  const server = await startSlipway()
  onTestFinished(() => server[Symbol.asyncDispose]())
  const bus = await connectBus(server.url)
  onTestFinished(() => bus.close())
  const { child } = await started('audio-rig/gateway.ts', { args: ['--url', server.url], until: 'connected' })
  const tones = [
    { hertz: 440, level: 0.8 },
    { hertz: 1_250, level: 0.5 },
    { hertz: 3_000, level: 0.3 },
  ]
  const done = await submit(bus, 'nvm', { program: { tones }, constraints: { max_runs: 4 } })
  expect(done.status).toBe('done')
  const { peaks } = done.value as { peaks: { hertz: number }[] }
  expect(peaks.map(({ hertz }) => hertz).sort((a, b) => a - b)).toEqual([440, 1_250, 3_000])
  expect(done.pieces).toMatchObject([{ run: 1 }, { run: 2 }, { run: 3 }, { run: 4 }])
  const silent = await submit(bus, 'nvm', { program: { tones: [{ hertz: 500, level: 0 }] } })
  expect(silent.value).toMatchObject({ peaks: [] })
  expect(await submit(bus, 'nvm', { program: {} })).toMatchObject({ status: 'dead' })
  child.kill('SIGTERM')
  const [code] = (await once(child, 'exit')) as [number]
  expect(code).toBe(0)
})

/** A server with this file as its config/operators.yaml. */
async function busWith(operators: string): Promise<Bus> {
  const data = await temporaryDataFolder()
  await mkdir(join(data.path, 'config'))
  await writeFile(join(data.path, 'config/operators.yaml'), operators)
  const server = await startSlipway({ data: data.path })
  const bus = await connectBus(server.url)
  onTestFinished(async () => {
    await bus.close()
    await server[Symbol.asyncDispose]()
    await data[Symbol.asyncDispose]()
  })
  return bus
}

interface Started {
  readonly child: ChildProcess
  readonly said: string
}

/** A program of an example in a process of its own, once it has said something. */
async function started(
  file: string,
  { args = [], env = {}, until = '' }: { args?: string[]; env?: Record<string, string>; until?: string },
): Promise<Started> {
  const child = spawn(process.execPath, [join(folder, file), ...args], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  for await (const chunk of child.stdout.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    said += chunk.toString()
    if (said.includes('\n') && said.includes(until)) break
  }
  return { child, said }
}

interface Done {
  readonly jobId: string
  readonly status: string | undefined
  readonly value: unknown
  readonly pieces: readonly unknown[]
}

async function submit(bus: Bus, domain: string, payload: unknown): Promise<Done> {
  const { id: jobId } = await bus.publish({ topic: `${domain}.jobs`, schema: `arqonbus.${domain}.job.v1`, payload })
  const pieces: unknown[] = []
  for await (const message of bus.followJob(jobId)) {
    if (message.type === 'stream_chunk') pieces.push(read(message))
    if (message.type === 'job_result') return { jobId, status: message.status, value: read(message), pieces }
  }
  throw new Error('There was no result.')
}

function read({ payload }: Envelope): unknown {
  return parseJson(new TextDecoder().decode(payload))
}

function checkerboard(
  { cell, offsetX, offsetY, dark, bright }: Record<'cell' | 'offsetX' | 'offsetY' | 'dark' | 'bright', number>,
  noise: number,
): string {
  const pixels = Buffer.alloc(32 * 24)
  let state = 7
  for (const index of pixels.keys()) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    const column = Math.floor(((index % 32) + offsetX) / cell)
    const row = Math.floor((Math.floor(index / 32) + offsetY) / cell)
    const base = (column + row) % 2 === 0 ? dark : bright
    pixels[index] = Math.max(0, Math.min(255, Math.round(base + noise * (2 * (state / 2 ** 32) - 1))))
  }
  return pixels.toString('base64')
}
