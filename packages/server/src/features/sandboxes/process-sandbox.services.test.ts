import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { PyDict } from '@slipway/engine/value/value'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { openProcessSandboxes, type ProcessProbe, probeProcessSandbox } from './adapters/process-sandbox.ts'
import { sandboxContract } from './sandbox.contract.ts'

const probe = await probeProcessSandbox()

if (probe.works) {
  sandboxContract('process', () => Promise.resolve(openProcessSandboxes(probe)))
  describe('process: the walls around CPython', () => wallTests(probe))
} else {
  describe.skip(`process: Python sandboxes (${probe.reason})`, () => test('needs bubblewrap and python3'))
}

function wallTests(found: Extract<ProcessProbe, { works: true }>): void {
  const sandboxes = openProcessSandboxes(found)
  let folder = ''
  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'slipway-process-')))
  })
  afterAll(async () => {
    await sandboxes.close()
    await rm(folder, { recursive: true })
  })
  const run = async (code: string): Promise<unknown> => {
    await using session = await sandboxes.open({ folder })
    return await session.execute({ path: 'a.py', code, globals: PyDict.of([]) })
  }

  test('[SANDBOX-28] the kernel refuses dangerous calls of native code', async () => {
    // Numbers of x64 and arm64: unshare, ptrace, mount, keyctl, bpf, perf_event_open, io_uring_setup, socket, symlinkat.
    const code = `
import ctypes, platform
libc = ctypes.CDLL(None, use_errno=True)
numbers = {
    'x86_64': [272, 101, 165, 250, 321, 298, 425, 41, 266],
    'aarch64': [97, 117, 40, 219, 280, 241, 425, 198, 36],
}[platform.machine()]
result = []
for number in numbers:
    ctypes.set_errno(0)
    result.append([libc.syscall(number, 0, 0, 0, 0, 0), ctypes.get_errno()])`
    expect(await run(code)).toEqual(Array(9).fill([-1, 1]))
  })

  test('[SANDBOX-14] nothing is mounted writable but the folder and a small temporary one', async () => {
    const code = `
import errno, os
result = []
for path in ['/', '/dev', '/usr', '/etc', '/lib', '/slipway', os.path.dirname(os.__file__)]:
    try:
        open(path + '/slipway-test', 'w')
        result.append(path)
    except OSError as error:
        assert error.errno in (errno.EROFS, errno.EACCES, errno.ENOENT, errno.EISDIR), error
size = os.statvfs('/tmp')
result.append(size.f_blocks * size.f_frsize <= 64 << 20 or not os.access('/tmp', os.W_OK))`
    expect(await run(code)).toEqual([true])
  })

  test('[SANDBOX-14] other processes cannot be seen', async () => {
    expect(await run('import os\nresult = [os.path.exists("/proc"), os.getpid() < 10]')).toEqual([false, true])
  })

  test('[SANDBOX-24] the interpreter dies with the server, also in the middle of a loop', async () => {
    const server = spawn(process.execPath, ['--input-type=module-typescript', '-e', LOOPING], {
      env: {
        MODULE: pathToFileURL(join(import.meta.dirname, 'adapters/process-sandbox.ts')).href,
        FOLDER: folder,
        PATH: pathOf(found),
      },
      cwd: import.meta.dirname,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(server.stdout, 'data')
    expect(await runnersOf(folder)).not.toEqual([])
    server.kill('SIGKILL')
    await expect.poll(() => runnersOf(folder), { timeout: 10_000 }).toEqual([])
  })
}

function pathOf(found: Extract<ProcessProbe, { works: true }>): string {
  const bubblewrap = execFileSync('sh', ['-c', 'command -v bwrap'], { encoding: 'utf8' }).trim()
  return [join(found.python.executable, '..'), join(bubblewrap, '..'), '/usr/bin', '/bin'].join(':')
}

/** Processes of this machine that were started for the folder. */
async function runnersOf(folder: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter(line => line.includes('slipway_runner.py') && line.includes(folder))
}

const LOOPING = `
const { openProcessSandboxes, probeProcessSandbox } = await import(process.env.MODULE)
const { PyDict } = await import('@slipway/engine/value/value')
const session = await openProcessSandboxes(await probeProcessSandbox()).open({ folder: process.env.FOLDER })
await session.execute({ path: 'a.py', code: 'result = 1', globals: PyDict.of([]) })
void session.execute({ path: 'a.py', code: 'while True: pass', globals: PyDict.of([]) })
setTimeout(() => console.log('looping'), 300)
`
