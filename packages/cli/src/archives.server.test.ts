import { once } from 'node:events'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { temporaryFolder } from '@slipway/server/app/testing'
import { describe, expect, test } from 'vitest'
import { slipway, type CommandEnd } from '../../../tests/testbed/slipway.ts'

interface Asked {
  readonly line: string
  readonly body: string
}

interface Fake extends AsyncDisposable {
  readonly asked: readonly Asked[]
  readonly cli: (args: readonly string[], cwd?: string) => Promise<CommandEnd>
}

/** A server that says what a test needs: broken connections and long lists are hard to get from a real one. */
async function fake(reply: (asked: Asked, response: ServerResponse) => void): Promise<Fake> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const one = { line: `${request.method ?? ''} ${request.url ?? ''}`, body: Buffer.concat(chunks).toString() }
      asked.push(one)
      reply(one, response)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const env = { SLIPWAY_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  return {
    asked,
    cli: (args, cwd) => slipway(args, { env, ...(cwd === undefined ? {} : { cwd }) }),
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('files of runs', () => {
  test('[CLI-28] an export takes no other file’s place unless it is told to', async () => {
    await using server = await fake((_asked, response) => response.end('the archive'))
    await using folder = await temporaryFolder()
    const done = await server.cli(['runs', 'export', 'run_1', '--json'], folder.path)
    expect(parseJson(done.stdout)).toEqual({ run_id: 'run_1', file: 'run_1.zip', size_bytes: 11 })
    expect(await readFile(join(folder.path, 'run_1.zip'), 'utf8')).toBe('the archive')
    await writeFile(join(folder.path, 'mine.zip'), 'mine')
    const refused = await server.cli(['runs', 'export', 'run_1', '-o', 'mine.zip'], folder.path)
    expect(refused).toMatchObject({ code: 2 })
    expect(refused.stderr).toContain('--force')
    expect(await readFile(join(folder.path, 'mine.zip'), 'utf8')).toBe('mine')
    expect((await server.cli(['runs', 'export', 'run_1', '-o', 'mine.zip', '--force'], folder.path)).code).toBe(0)
    expect((await readdir(folder.path)).sort()).toEqual(['mine.zip', 'run_1.zip'])
  })

  test('[CLI-28] an export that breaks off leaves no file', async () => {
    await using server = await fake((_asked, response) => {
      response.writeHead(200, { 'content-length': '1000' })
      response.write('half of it', () => response.destroy())
    })
    await using folder = await temporaryFolder()
    const end = await server.cli(['runs', 'export', 'run_1'], folder.path)
    expect(end.code).toBe(3)
    expect(end.stderr).toContain('[server.unreachable]')
    expect(await readdir(folder.path)).toEqual([])
  })

  test('[CLI-28] a file that is not there is wrong use, and nothing is sent', async () => {
    await using server = await fake((_asked, response) => response.end('{}'))
    expect(await server.cli(['runs', 'import', '/not/there.zip'])).toMatchObject({ code: 2 })
    expect(server.asked).toEqual([])
  })
})

describe('the end of runs', () => {
  const gone = (n: number): object => ({
    run_id: `run_${n}`,
    plan_id: 'p',
    completed_at: '2026-01-01T00:00:00.000Z',
  })

  function pruning(runs: number, perCall: number): Promise<Fake> {
    let left = runs
    return fake(({ body }, response) => {
      const dry = (parseJson(body) as { dry_run?: boolean }).dry_run ?? false
      const now = Math.min(left, perCall)
      if (!dry) left -= now
      const names = Array.from({ length: now }, (_, n) => gone(n))
      response.end(JSON.stringify({ dry_run: dry, runs: names, more: dry ? left > perCall : left > 0 }))
    })
  }

  test('[CLI-29] nothing is deleted where nobody can be asked', async () => {
    await using server = await pruning(3, 10)
    const end = await server.cli(['runs', 'prune', '--older-than', '30d'])
    expect(end).toMatchObject({ code: 2 })
    expect(end.stderr).toContain('--yes')
    expect((await server.cli(['runs', 'delete', 'run_1'])).stderr).toContain('--yes')
    expect(server.asked.map(({ body }) => parseJson(body))).toEqual([{ older_than_days: 30, dry_run: true }])
  })

  test('[CLI-29] a dry run shows what would go', async () => {
    await using server = await pruning(3, 2)
    const end = await server.cli(['runs', 'prune', '--dry-run', '--keep', '5', '--plan', 'p'])
    expect(end.code).toBe(0)
    expect(end.stdout).toMatch(/run_0 +p[^]*2 or more runs would go/)
    expect(server.asked.map(({ body }) => parseJson(body))).toEqual([{ plan_id: 'p', keep: 5, dry_run: true }])
  })

  test('[CLI-29] with --yes all of them go, however many calls it takes', async () => {
    await using server = await pruning(5, 2)
    const end = await server.cli(['runs', 'prune', '--yes', '--json'])
    expect(end.code).toBe(0)
    expect((parseJson(end.stdout) as { runs: unknown[] }).runs).toHaveLength(5)
    expect(server.asked).toHaveLength(3)
  })

  test('[CLI-29] [CLI-3] where none is old enough that is said', async () => {
    await using server = await pruning(0, 2)
    expect((await server.cli(['runs', 'prune'])).stdout).toContain('No run is old enough')
  })
})
