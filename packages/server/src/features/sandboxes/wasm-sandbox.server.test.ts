import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, cp, mkdtemp, readdir, realpath, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { PyDict } from '@slipway/engine/value/value'
import { parseJson } from '@slipway/kit/json'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { startImages } from '#app/testing'

import { lockedNodeArguments, openWasmSandboxes } from './adapters/wasm-sandbox.ts'
import { sandboxContract } from './sandbox.contract.ts'
import { openPythonSandboxes } from './sandboxes.ts'

const none = PyDict.of([])
let data = ''
let images = ''
beforeAll(async () => {
  data = await realpath(await mkdtemp(join(tmpdir(), 'slipway-wasm-test-')))
  images = await startImages()
})
afterAll(() => rm(data, { recursive: true, force: true }))

sandboxContract('wasm', async () => openWasmSandboxes({ dataFolder: await startImages() }))

describe('wasm: the process around the interpreter', () => {
  test('[SANDBOX-22] JavaScript is out of reach of a script, and what it could reach opens nothing', async () => {
    const sandboxes = openWasmSandboxes({ dataFolder: images })
    const session = await sandboxes.open({ folder: data, limits: { callTimeoutMs: 5_000 } })
    const run = (code: string): Promise<unknown> =>
      session.execute({ path: 'a.py', code, globals: none }).catch((error: unknown) => error)
    for (const code of ['import js', 'import pyodide_js', 'import pyodide.code', 'from _pyodide_core import *']) {
      expect(await run(code), code).toMatchObject({ size: 2 })
    }
    // The interpreter's own objects can still be dug out of its memory. What they offer is behind Node's permissions.
    const dig = `
import gc
finder = [o for o in gc.get_objects() if type(o).__name__ == 'JsFinder'][0]
api = finder.jsproxies['pyodide_js']`
    const attempts = [
      'api.runPython.constructor("return process")()',
      'api.runPython.constructor.constructor("return 1")()',
      'api.mountNodeFS("/host", "/etc"), open("/host/passwd").read()',
      'api.FS.mount(api.FS.filesystems.NODEFS, None, "/tmp"), open("/tmp/etc/passwd").read()',
      '[o for o in gc.get_objects() if getattr(o, "__name__", "") == "pyodide.code"][0].run_js("1")',
    ]
    for (const attempt of attempts) {
      const end = await run(`${dig}\nresult = "ESCAPED" + str([${attempt}])`)
      expect(String(end), attempt).not.toContain('root:')
      expect(String(end), attempt).not.toContain('ESCAPED')
    }
    expect(await run('result = 1')).toBe(1)
    await sandboxes.close()
  })

  test('[SANDBOX-23] even JavaScript in that process has no files, programs, threads, sockets or code from text', async () => {
    const probe = join(data, 'probe.mjs')
    await writeFile(probe, PROBE)
    const child = spawn(process.execPath, [...lockedNodeArguments([probe], 64 * 1024 * 1024), probe], { env: {} })
    let text = ''
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()))
    await once(child, 'close')
    const results = parseJson(text) as Record<string, string>
    expect(Object.keys(results).length).toBeGreaterThan(12)
    expect(Object.entries(results).filter(([, result]) => result !== 'refused')).toEqual([])
  })

  test('[SANDBOX-24] the interpreter dies with the server, also in the middle of a loop', async () => {
    if (process.platform !== 'linux') return
    const server = spawn(process.execPath, ['--input-type=module-typescript', '-e', LOOPING], {
      env: {
        MODULE: pathToFileURL(join(import.meta.dirname, 'adapters/wasm-sandbox.ts')).href,
        FOLDER: data,
        IMAGES: images,
      },
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [line] = (await once(server.stdout, 'data')) as [Buffer]
    const pid = Number(line.toString())
    expect(() => process.kill(pid, 0)).not.toThrow()
    server.kill('SIGKILL')
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false)
  })

  test('[SANDBOX-25] the start image is made once, found again, and never used when damaged', async () => {
    const folder = join(data, 'own-image')
    const answer = async (dataFolder = folder): Promise<unknown> => {
      const sandboxes = openWasmSandboxes({ dataFolder })
      const session = await sandboxes.open({ folder: data })
      const result = await session.execute({ path: 'a.py', code: 'result = 1', globals: none })
      await sandboxes.close()
      return result
    }
    const image = async (): Promise<{ name: string; at: number }> => {
      const [name = '', ...others] = await readdir(folder)
      expect(others).toEqual([])
      return { name, at: (await stat(join(folder, name))).mtimeMs }
    }
    if ((await readdir(images)).length === 0) await answer(images)
    await cp(images, folder, { recursive: true, preserveTimestamps: true })
    const first = await image()
    expect(await answer()).toBe(1)
    expect(await image()).toEqual(first)
    await truncate(join(folder, first.name), 1_000_000)
    await appendFile(join(folder, first.name), 'x')
    const damaged = await image()
    expect(await answer()).toBe(1)
    const second = await image()
    expect(second.at).toBeGreaterThan(damaged.at)
    expect((await stat(join(folder, second.name))).size).toBeGreaterThan(1_000_001)
  })

  test('[SANDBOX-26] two runs have nothing in common but the image they start from', async () => {
    const sandboxes = openWasmSandboxes({ dataFolder: images })
    const sessions = await Promise.all([sandboxes.open({ folder: data }), sandboxes.open({ folder: data })])
    const code = 'import random, sys\nsys.mine = getattr(sys, "mine", 0) + 1\nresult = [sys.mine, random.random()]'
    const results = await Promise.all(sessions.map(one => one.execute({ path: 'a.py', code, globals: none })))
    const [[count1, number1], [count2, number2]] = results as [unknown[], unknown[]]
    expect([count1, count2]).toEqual([1, 1])
    expect(number1).not.toEqual(number2)
    await sandboxes.close()
  })

  test('[SANDBOX-27] `auto` opens one that works here', async () => {
    const sandboxes = await openPythonSandboxes('auto', { dataFolder: images })
    const session = await sandboxes.open({ folder: data })
    expect(await session.execute({ path: 'a.py', code: 'result = 1', globals: none })).toBe(1)
    await sandboxes.close()
    const without = await openPythonSandboxes('auto', { dataFolder: images, python: 'no-such-python' })
    expect(without.kind).toBe('wasm')
    await without.close()
    await expect(openPythonSandboxes('process', { python: 'no-such-python' })).rejects.toMatchObject({
      code: 'sandbox.unavailable',
    })
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const LOOPING = `
const { openWasmSandboxes } = await import(process.env.MODULE)
const { PyDict } = await import('@slipway/engine/value/value')
const session = await openWasmSandboxes({ dataFolder: process.env.IMAGES }).open({ folder: process.env.FOLDER })
await session.execute({ path: 'a.py', code: 'result = 1', globals: PyDict.of([]) })
void session.execute({ path: 'a.py', code: 'while True: pass', globals: PyDict.of([]) })
setTimeout(() => console.log(session.pid), 300)
`

// Reports for everything that must be refused whether it was.
const PROBE = `
import fs from 'node:fs'
const results = {}
const attempt = async (name, work) => {
  try { await work(); results[name] = 'ALLOWED' } catch (error) {
    const codes = ['ERR_ACCESS_DENIED', 'ERR_UNKNOWN_BUILTIN_MODULE', 'ERR_DLOPEN_DISABLED']
    const refused = codes.includes(error.code) || error instanceof EvalError
    results[name] = refused ? 'refused' : String(error)
  }
}
const emitted = emitter => new Promise((resolve, reject) => {
  for (const event of ['connect', 'listening', 'open', 'message']) emitter.on(event, resolve)
  emitter.on('error', reject)
})
await attempt('read', () => fs.readFileSync('/etc/passwd'))
await attempt('write', () => fs.writeFileSync('/tmp/slipway-probe', 'x'))
await attempt('list', () => fs.readdirSync('/'))
await attempt('link', () => fs.symlinkSync('/etc/passwd', '/tmp/slipway-link'))
await attempt('descriptors', () => fs.readFileSync('/proc/self/environ'))
await attempt('program', async () => (await import('node:child_process')).spawnSync('true').error)
await attempt('fork', async () => (await import('node:child_process')).fork(process.argv[1]))
await attempt('thread', async () => new (await import('node:worker_threads')).Worker('1', { eval: true }))
await attempt('connect', async () => emitted((await import('node:net')).connect(1, '127.0.0.1')))
await attempt('listen', async () => emitted((await import('node:net')).createServer().listen(0)))
await attempt('datagram', async () => emitted((await import('node:dgram')).createSocket('udp4').bind(0)))
await attempt('resolve', async () => (await import('node:dns/promises')).lookup('localhost'))
await attempt('fetch', async () => {
  try { await fetch('http://127.0.0.1:8080/') } catch (error) { throw error.cause ?? error }
})
await attempt('wasi', async () => new (await import('node:wasi')).WASI({ version: 'preview1', preopens: { '/': '/' } }))
await attempt('inspector', async () => (await import('node:inspector')).open(0))
await attempt('database', async () => new (await import('node:sqlite')).DatabaseSync('/tmp/slipway-probe.db'))
await attempt('ffi', () => import('node:ffi'))
await attempt('heap', async () => (await import('node:v8')).writeHeapSnapshot('/tmp/slipway-probe.heap'))
await attempt('report', () => process.report.writeReport('/tmp/slipway-probe.json'))
await attempt('replace', () => process.execve('/bin/true'))
await attempt('eval', () => (0, eval)('1'))
await attempt('function', () => new Function('return 1')())
await attempt('native', () => process.dlopen({ exports: {} }, '/lib/libc.so.6'))
console.log(JSON.stringify(results))
process.exit(0)
`
