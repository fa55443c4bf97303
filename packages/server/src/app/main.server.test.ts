import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { openDatabase } from '#db/database'
import { findRun, insertRun } from '#features/runs/run-store'
import { newRun } from '#features/runs/testing'
import { compileCache, temporaryFolder, testServer } from './testing.ts'

const program = join(import.meta.dirname, 'main.ts')
const token = 'a-token-of-good-length'

interface Program extends AsyncDisposable {
  readonly child: ChildProcess
  /** Its address once it takes work. */
  url(): Promise<string>
  /** Exit code and what it wrote, once it has ended. */
  ended(): Promise<{ readonly code: number | null; readonly out: string; readonly errors: string }>
}

function run(env: Record<string, string>): Program {
  const child = spawn(process.execPath, [program], {
    env: { ...compileCache(), SLIPWAY_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const chunks: string[] = []
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
  const errors = text(child.stderr)
  const exit = once(child, 'exit') as Promise<[number | null]>
  return {
    child,
    async url() {
      while (!chunks.join('').includes('\n')) {
        await Promise.race([
          once(child.stdout, 'data'),
          exit.then(async () => Promise.reject(new Error(`It ended: ${await errors}`))),
        ])
      }
      return /^Slipway is ready at (\S+)\n$/.exec(chunks.join(''))?.[1] ?? ''
    },
    async ended() {
      const [code] = await exit
      return { code, out: chunks.join(''), errors: await errors }
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await exit
    },
  }
}

describe('the program', () => {
  test('[APP-12] a data folder that cannot be one ends it with what to do', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'file')
    await writeFile(file, '')
    await using server = run({ SLIPWAY_DATA_DIR: file })
    const { code, errors } = await server.ended()
    expect(code).toBe(2)
    expect(errors).toContain('Set SLIPWAY_DATA_DIR')
    expect(errors).not.toContain('    at ')
  })

  test.each(['SIGTERM', 'SIGINT'] as const)(
    '[APP-1] [APP-2] [APP-9] it says where it is and ends in order on %s',
    async signal => {
      await using folder = await temporaryFolder()
      await using server = run({ SLIPWAY_DATA_DIR: folder.path, SLIPWAY_API_TOKEN: token, SLIPWAY_LOG_LEVEL: 'trace' })
      const url = await server.url()
      for (const path of ['/livez', '/readyz']) expect((await fetch(url + path)).status).toBe(200)
      const headers = { authorization: `Bearer ${token}` }
      expect((await fetch(`${url}/api/plans?token=1`, { headers })).status).toBe(200)
      server.child.kill(signal)
      const { code, out, errors } = await server.ended()
      expect({ code, out }).toEqual({ code: 0, out: `Slipway is ready at ${url}\n` })
      expect(errors).toContain('server stopped')
      expect(errors).not.toContain(token)
    },
  )

  test('[APP-2] a second signal ends it at once', async () => {
    await using folder = await temporaryFolder()
    await using server = run({ SLIPWAY_DATA_DIR: folder.path, SLIPWAY_SHUTDOWN_GRACE_MS: '60000' })
    const url = new URL(await server.url())
    const request = `POST /api/runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n`
    const { connect } = await import('node:net')
    const slow = connect(Number(url.port), '127.0.0.1')
    slow.on('error', () => undefined)
    slow.write(request)
    // An answer on another connection shows that the first one's head has arrived as well.
    await fetch(new URL('/livez', url))
    server.child.kill('SIGTERM')
    let closed = false
    while (!closed)
      closed = await fetch(new URL('/livez', url)).then(
        () => false,
        () => true,
      )
    server.child.kill('SIGTERM')
    expect((await server.ended()).code).toBe(143)
    slow.destroy()
  })

  test('[APP-3] every wrong setting is named', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'config'))
    await writeFile(
      join(folder.path, 'config', 'server.yaml'),
      'server:\n  log_level: loud\nexecution:\n  max_concurrent_runs: 0\n',
    )
    await using server = run({ SLIPWAY_DATA_DIR: folder.path, SLIPWAY_PORT: '99999', SLIPWAY_API_TOKEN: 'short' })
    const { code, errors } = await server.ended()
    expect(code).toBe(2)
    for (const place of ['SLIPWAY_PORT', 'SLIPWAY_API_TOKEN', 'logLevel', 'maxConcurrentRuns'])
      expect(errors).toContain(place)
    expect(errors).not.toContain('short')
    expect(errors).not.toContain('    at ')
  })

  test('[APP-3] a config file that is no YAML is named', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'config'))
    await writeFile(join(folder.path, 'config', 'server.yaml'), 'server: [')
    const { code, errors } = await run({ SLIPWAY_DATA_DIR: folder.path }).ended()
    expect({ code, named: errors.includes('server.yaml') }).toEqual({ code: 2, named: true })
  })

  test('[APP-4] a port in use says so', async () => {
    await using folder = await temporaryFolder()
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    await using server = run({ SLIPWAY_DATA_DIR: folder.path, SLIPWAY_PORT: String(port) })
    const { code, out, errors } = await server.ended()
    expect({ code, out }).toEqual({ code: 2, out: '' })
    expect(errors).toMatch(new RegExp(`Port ${port} .*SLIPWAY_PORT`))
    other.close()
  })

  test.each(['a port in use', 'an open address'])('[APP-15] with %s it takes up no run', async what => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'slipway.db')
    const waiting = newRun('waiting')
    const content = { run_id: waiting.id, inputs: '{}', origin: null, node_statuses: '{}', result: null }
    {
      await using db = await openDatabase(file)
      await db.transaction(tx => insertRun(tx, waiting, content))
    }
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as { port: number }
    const address: Record<string, string> =
      what === 'a port in use' ? { SLIPWAY_PORT: String(port) } : { SLIPWAY_HOST: '0.0.0.0' }
    await using server = run({ SLIPWAY_DATA_DIR: folder.path, ...address })
    expect((await server.ended()).code).toBe(2)
    other.close()
    await using db = await openDatabase(file)
    expect(await findRun(db.read, waiting.id)).toEqual({ ...waiting, position: 1 })
  })

  test.each([
    ['0.0.0.0', 'SLIPWAY_API_TOKEN'],
    ['192.0.2.1', 'SLIPWAY_API_TOKEN'],
  ])('[APP-4] listening on %s without a token is refused', async (host, hint) => {
    await using folder = await temporaryFolder()
    const { code, errors } = await run({ SLIPWAY_DATA_DIR: folder.path, SLIPWAY_HOST: host }).ended()
    expect({ code, hint: errors.includes(hint) }).toEqual({ code: 2, hint: true })
  })

  test('[APP-5] a second server in the same folder is refused', async () => {
    await using folder = await temporaryFolder()
    await using first = run({ SLIPWAY_DATA_DIR: folder.path })
    const url = await first.url()
    const { code, errors } = await run({ SLIPWAY_DATA_DIR: folder.path }).ended()
    expect({ code, hint: errors.includes('SLIPWAY_DATA_DIR') }).toEqual({ code: 2, hint: true })
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    first.child.kill('SIGKILL')
    await first.ended()
    await using third = run({ SLIPWAY_DATA_DIR: folder.path })
    expect((await fetch(`${await third.url()}/readyz`)).status).toBe(200)
  })
})

describe('the server', () => {
  test('[APP-8] the page needs no token, what it shows does', async () => {
    await using server = await testServer({ apiToken: token })
    for (const path of ['/', '/runs/run_1', '/page/page.js', '/page/page.css', '/page/icon.svg']) {
      const reply = await fetch(server.url + path)
      expect({ path, status: reply.status }).toEqual({ path, status: 200 })
      expect(reply.headers.get('content-security-policy')).toContain("default-src 'self'")
    }
    for (const path of ['/api/plans', '/api/runs', '/healthz', '/openapi.json', '/page/page.js/..%2f..%2fmain.ts']) {
      expect((await fetch(server.url + path)).status).toBe(401)
    }
    expect((await fetch(`${server.url}/page/nothing.js`)).status).toBe(404)
  })

  test('[APP-10] it says how it is', async () => {
    await using server = await testServer()
    expect(await (await fetch(`${server.url}/healthz`)).json()).toMatchObject({
      status: 'ok',
      sandbox: 'not started',
      plans: 0,
      runs: { running: 0, pending: 0 },
      checks: { database: { status: 'ok' } },
    })
    expect(await (await fetch(`${server.url}/api/models`)).json()).toMatchObject([{ name: 'demo', is_default: true }])
  })
})
