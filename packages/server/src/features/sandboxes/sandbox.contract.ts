import { existsSync } from 'node:fs'
import { link, mkdir, mkdtemp, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { encodeValue } from '@slipway/engine/value/codec'
import { PyBytes, PyDict, PyFloat, PySet, PyTuple, type Value } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'

import type { OpenSandbox, PythonSandboxes, PythonSession } from './sandboxes.ts'

const MiB = 1024 * 1024
const errorValue = (message: unknown): unknown => ({ status: 'error', message })

/** What every adapter must do. `open` makes sandboxes of their own for this suite. */
export function sandboxContract(name: string, open: () => Promise<PythonSandboxes>): void {
  describe(`${name}: Python sandboxes`, () => {
    let sandboxes: PythonSandboxes
    beforeAll(async () => {
      sandboxes = await open()
    })
    afterAll(() => sandboxes.close())
    const bed = (options: Partial<OpenSandbox> = {}): Promise<Bed> => openBed(sandboxes, options)
    describe('calls', () => callTests(bed))
    describe('files', () => fileTests(bed))
    describe('values', () => valueTests(bed))
    describe('walls', () => wallTests(bed))
    hostileTests(bed)
    endTests(bed)
  })
}

type OpenBed = (options?: Partial<OpenSandbox>) => Promise<Bed>

function callTests(bed: OpenBed): void {
  let run: Bed
  beforeAll(async () => {
    run = await bed()
  })
  afterAll(() => run[Symbol.asyncDispose]())

  test('[SANDBOX-1] a function is called with its arguments by name', async () => {
    const code = 'def main(a, b=2, **more):\n    return [a, b, sorted(k for k in more if k != "body")]'
    expect(await run.call(code, { b: 5, a: 1, c: 3 })).toEqual([1, 5, ['c']])
  })

  test('[SANDBOX-1] a script that is executed gives its global `result`', async () => {
    expect(await run.execute('result = x + "!"', { x: 'hey' })).toBe('hey!')
    expect(shown(await run.execute('pass'))).toMatchObject({ status: 'warning' })
  })

  test('[SANDBOX-2] an exception is an ordinary value and the interpreter stays', async () => {
    await run.execute('import sys; sys.kept = 7')
    expect(shown(await run.call('def main(): raise ValueError("no good")'))).toEqual(errorValue('no good'))
    expect(shown(await run.call('def main(): return {}["k"]'))).toEqual(errorValue("'k'"))
    expect(shown(await run.execute('def f(:'))).toMatchObject({ status: 'error' })
    expect(shown(await run.call('x = 1'))).toEqual(errorValue("The script defines no function named 'main'."))
    expect(shown(await run.call('def main(): pass', { extra: 1 }))).toMatchObject({ status: 'error' })
    expect(shown(await run.execute('import sys; sys.exit(4)'))).toMatchObject({ status: 'error' })
    expect(await run.execute('import sys; result = sys.kept')).toBe(7)
  })

  test('[SANDBOX-3] a function gets `body` only if it can take it and it is offered', async () => {
    const named = 'def main(x, body=None): return None if body is None else body.base_dir'
    expect(await run.call(named, { x: 1 })).toBe(run.folder)
    expect(await run.call(named, { x: 1 }, { withBody: false })).toBe(null)
    expect(await run.call(named, { x: 1, body: 'mine' }).catch(() => 'mine')).not.toBe(run.folder)
    expect(await run.call('def main(**all): return sorted(all)', { x: 1 })).toEqual(['body', 'x'])
    expect(await run.call('def main(x): return x', { x: 1 })).toBe(1)
  })

  test('[SANDBOX-4] one interpreter serves all calls, in their order, without sharing the globals of scripts', async () => {
    const calls = [1, 2, 3, 4].map(n =>
      run.execute(`import sys\nsys.order = [*getattr(sys, "order", []), ${n}]\nleak = 1\nresult = list(sys.order)`),
    )
    expect(await Promise.all(calls)).toEqual([[1], [1, 2], [1, 2, 3], [1, 2, 3, 4]])
    expect(await run.execute('result = "leak" in globals()')).toBe(false)
  })

  test('[SANDBOX-5] what a script prints never disturbs the conversation, is told and is cut', async () => {
    const told: string[] = []
    await using run = await bed({ onOutput: text => told.push(text), limits: { outputBytes: 1000 } })
    const code = 'import os, sys\nprint("{}")\nprint("err", file=sys.stderr)\nos.write(1, b"raw\\n")\nresult = 1'
    expect(await run.execute(code)).toBe(1)
    expect(told).toEqual(['{}\nerr\n'])
    expect(await run.execute('for i in range(10000): print("x" * 1000)\nresult = 2')).toBe(2)
    expect(told[1]).toHaveLength(1000)
  })

  test('[SANDBOX-6] modules of the run are imported anew when a script rewrote them', async () => {
    await writeFile(join(run.folder, 'mine.py'), 'value = 1')
    expect(await run.execute('import mine\nresult = mine.value')).toBe(1)
    await writeFile(join(run.folder, 'mine.py'), 'value = 22')
    expect(await run.execute('import mine\nresult = mine.value')).toBe(22)
  })

  test('[SANDBOX-1] common parts of the standard library work', async () => {
    const code = `
from __future__ import annotations
import asyncio, dataclasses, datetime, decimal, enum, json, math, pathlib, random, re, statistics, typing
@dataclasses.dataclass
class Point:
    x: int
async def later():
    await asyncio.sleep(0.01)
    return Point(3).x
result = [asyncio.run(later()), str(pathlib.Path('a') / 'b'), statistics.mean([1, 2]), str(decimal.Decimal('0.1'))]`
    expect(shown(await run.execute(code))).toEqual([3, 'a/b', 1.5, '0.1'])
  })

  test('[SANDBOX-1] scripts can ask for what any program may know, and use temporary files', async () => {
    const code = `
import csv, glob, hashlib, io, os, platform, secrets, shutil, tempfile, time, uuid, zipfile
with tempfile.NamedTemporaryFile('w+') as file:
    file.write('a')
shutil.copytree('.', tempfile.mkdtemp() + '/copy')
time.sleep(0.01)
known = [os.getuid(), os.getpid() > 0, os.umask(0o22) >= 0, bool(platform.platform()), time.time() > 1e9]
result = known + [len(uuid.uuid4().hex), len(secrets.token_hex(4)), glob.glob('*.nothing'), os.getlogin is None]`
    expect(await run.execute(code)).toEqual([1000, true, true, true, true, 32, 8, [], false])
  })
}

/** One session for tests that leave its interpreter as it was; each finds an empty folder. */
function sharedBed(bed: OpenBed): () => Bed {
  let run: Bed
  beforeAll(async () => {
    run = await bed()
  })
  afterEach(() => run.empty())
  afterAll(() => run[Symbol.asyncDispose]())
  return () => run
}

function fileTests(bed: OpenBed): void {
  const shared = sharedBed(bed)

  test('[SANDBOX-7] scripts read and write the files of the run, and the server sees them at once', async () => {
    const run = shared()
    await writeFile(join(run.folder, 'in.txt'), 'häß')
    const code = `
import os
os.makedirs('deep/er')
with open('deep/er/out.txt', 'w', encoding='utf-8') as f:
    f.write(open('in.txt', encoding='utf-8').read() * 2)
with open('deep/er/out.txt', 'a') as f:
    f.write('!')
os.rename('deep/er/out.txt', 'deep/moved.txt')
os.rmdir('deep/er')
result = [os.getcwd(), sorted(os.listdir('.')), os.path.getsize('deep/moved.txt'), os.path.exists('nothing')]`
    expect(await run.execute(code)).toEqual([run.folder, ['deep', 'in.txt'], 11, false])
    expect(await readFile(join(run.folder, 'deep/moved.txt'), 'utf8')).toBe('häßhäß!')
  })

  test('[SANDBOX-7] a file of several megabytes keeps every byte', async () => {
    const run = shared()
    const bytes = Buffer.from(Array.from({ length: 3 * MiB }, (_, at) => (at * 7 + (at >> 8)) & 255))
    await writeFile(join(run.folder, 'in.bin'), bytes)
    await run.execute('open("out.bin", "wb").write(open("in.bin", "rb").read())')
    expect(bytes.equals(await readFile(join(run.folder, 'out.bin')))).toBe(true)
  })

  test('[SANDBOX-32] a call tells which files its script wrote, moved or removed', async () => {
    const run = shared()
    await writeFile(join(run.folder, 'old.txt'), 'x')
    const told: (readonly string[])[] = []
    const execute = (code: string): Promise<Value> =>
      run.session.execute({ path: 'a.py', code, globals: PyDict.of([]), onFiles: paths => told.push(paths) })
    await execute(
      'import os\nopen("new.txt", "w").write("1")\nos.rename("old.txt", "moved.txt")\nopen("new.txt").read()',
    )
    await execute('open("moved.txt").read()\nresult = 1')
    await execute('import os\nos.remove("moved.txt")\nopen("/tmp/elsewhere", "w").write("x")\nresult = 1')
    expect(told).toEqual([['new.txt', 'old.txt', 'moved.txt'], ['moved.txt']])
  })

  test('[SANDBOX-8] body.file_system answers with a status, in the forms that plans expect', async () => {
    const run = shared()
    const code = `
def main(body):
    files = body.file_system
    return [
        files.save({'ä': [1, 2.0]}, 'out/a.json'),
        files.read('out/a.json'),
        files.read(location='out/nothing.txt')['status'],
        files.exists('out/a.json'),
        files.exists('b'),
        files.write('b.txt', 'B'),
        files.save(None, 'c.txt')['status'],
        files.save_from_dict({'x.md': '# X', 'y.json': {'ä': 1}}, 'many'),
    ]`
    const at = (path: string): string => join(run.folder, path)
    expect(shown(await run.call(code))).toEqual([
      { status: 'success', location: at('out/a.json') },
      { status: 'success', content: '{\n  "ä": [\n    1,\n    2.0\n  ]\n}' },
      'error',
      true,
      false,
      { status: 'success', location: at('b.txt') },
      'error',
      { status: 'success', saved_locations: [at('many/x.md'), at('many/y.json')], saved_location: at('many/x.md') },
    ])
    expect(await readFile(at('many/y.json'), 'utf8')).toBe('{\n  "\\u00e4": 1\n}')
  })

  test('[SANDBOX-8] a plan that says provision/ finds its provisions/', async () => {
    const run = shared()
    await mkdir(join(run.folder, 'provisions/data'), { recursive: true })
    await writeFile(join(run.folder, 'provisions/data/a.txt'), 'A')
    const code = 'def main(body): return body.file_system.read("provision\\\\data/a.txt")["content"]'
    expect(await run.call(code)).toBe('A')
  })
}

function valueTests(bed: OpenBed): void {
  const values: readonly [string, Value][] = [
    ['ints', [0, -1, 2 ** 53 - 1, 2n ** 53n, -(2n ** 64n), 10n ** 100n]],
    ['floats', [1, 0.1, 1e300, -0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].map(n => new PyFloat(n))],
    ['none and booleans', [null, true, false]],
    ['text', ['', 'ä中文🎉', '\u0000\n"\\', '\ud800', '{"$tuple":[]}']],
    ['tuples', new PyTuple([new PyTuple([]), 1, new PyTuple([[new PyFloat(2)]])])],
    ['sets', PySet.of([1])],
    ['bytes', new PyBytes(Uint8Array.from([0, 10, 255]))],
    [
      'keys',
      PyDict.of([
        [2, 'b'],
        [1, 'a'],
        [new PyTuple([1, 'x']), null],
        [new PyFloat(0.5), []],
        [null, 1],
      ]),
    ],
    ['key order', PyDict.from({ b: 1, a: 2 }).with('10', 3).with('9', 4)],
    ['keys like tags', PyDict.from({ $tuple: [1] })],
    ['nothing', [[], PyDict.of([])]],
  ]
  let run: Bed
  beforeAll(async () => {
    run = await bed()
  })
  afterAll(() => run[Symbol.asyncDispose]())

  test.each(values)('[SANDBOX-9] %s: passed through a script unchanged', async (_name, value) => {
    const back = await run.call('def main(value): return value', { value })
    expect(encodeValue(back)).toBe(encodeValue(value))
  })

  test('[SANDBOX-9] scripts see the Python types', async () => {
    const value = [1, new PyFloat(1), 2n ** 70n, true, null, new PyTuple([1]), new PyBytes(new Uint8Array(1))]
    const code = 'def main(value): return repr(value)'
    expect(await run.call(code, { value })).toBe("[1, 1.0, 1180591620717411303424, True, None, (1,), b'\\x00']")
  })

  test('[SANDBOX-10] a result of another type arrives as its text', async () => {
    const code = `
import collections, datetime, decimal
P = collections.namedtuple('P', 'x')
result = [decimal.Decimal('1.50'), datetime.date(2020, 1, 2), P(1), collections.OrderedDict(a=1)]`
    expect(encodeValue(await run.execute(code))).toBe('["1.50","2020-01-02",{"$tuple":[1]},{"a":1}]')
  })
}

function wallTests(bed: OpenBed): void {
  const shared = sharedBed(bed)

  test('[SANDBOX-14] no file of the machine can be read or written', async () => {
    const run = shared()
    const secret = await realpath(await mkdtemp(join(tmpdir(), 'slipway-secret-')))
    await writeFile(join(secret, 'key.txt'), 'SECRET')
    const packageJson = join(process.cwd(), 'package.json')
    for (const path of ['/etc/passwd', '/etc/shadow', packageJson, join(secret, 'key.txt'), '/proc/1/environ']) {
      expect(await ended(run.execute(`result = open(${JSON.stringify(path)}, "rb").read()`)), path).toBe(true)
      const relative = `../../../../../../../../../..${path}`
      expect(await ended(run.execute(`result = open(${JSON.stringify(relative)}, "rb").read()`)), relative).toBe(true)
    }
    // What a script writes outside of the run's folder exists for nobody but the sandbox, if at all.
    for (const path of [join(secret, 'new.txt'), join(run.folder, '../slipway-outside.txt'), '/etc/slipway.txt']) {
      await run.execute(`import os\nos.makedirs(os.path.dirname(${JSON.stringify(path)}), exist_ok=True)`)
      await run.execute(`open(${JSON.stringify(path)}, "w").write("x")`)
      expect(existsSync(path), path).toBe(false)
    }
    await rm(secret, { recursive: true })
  })

  test('[SANDBOX-15] a link leads nowhere outside', async () => {
    const run = shared()
    const made = 'import os\nos.symlink("/etc/passwd", "mine")'
    expect(shown(await run.execute(made))).toMatchObject({ status: 'error' })
    expect(existsSync(join(run.folder, 'mine'))).toBe(false)
    expect(shown(await run.execute('import os\nos.mkfifo("pipe")'))).toMatchObject({ status: 'error' })
    expect(existsSync(join(run.folder, 'pipe'))).toBe(false)
    await symlink('/etc/passwd', join(run.folder, 'found'))
    await symlink('/etc', join(run.folder, 'folder'))
    for (const path of ['found', 'folder/passwd']) {
      expect(await ended(run.execute(`result = open("${path}").read()`)), path).toBe(true)
      expect(shown(await run.call(`def main(body): return body.file_system.read("${path}")`))).toMatchObject({
        status: 'error',
      })
    }
    expect(await ended(run.execute('open("folder/slipway-test", "w")'))).toBe(true)
    await writeFile(join(run.folder, 'plain'), 'x')
    await link(join(run.folder, 'plain'), join(run.folder, 'second'))
    expect(await run.execute('result = open("second").read()')).toBe('x')
  })

  test('[SANDBOX-16] there is no environment, no network and no other user', async () => {
    const run = shared()
    expect(shown(await run.execute('import os\nresult = dict(os.environ)'))).toEqual({})
    for (const code of [
      'import socket\nsocket.create_connection(("127.0.0.1", 80), timeout=2)\nresult = 1',
      'import socket\nsocket.socket().connect(("1.1.1.1", 53))\nresult = 1',
      'import socket\nsocket.socket(socket.AF_UNIX).connect("/run/docker.sock")\nresult = 1',
      'import urllib.request\nresult = urllib.request.urlopen("http://127.0.0.1:1/", timeout=2).read()',
    ]) {
      expect(await ended(run.execute(code)), code).toBe(true)
    }
    expect(await run.execute('result = 1')).toBe(1)
  })
}

function hostileTests(bed: OpenBed): void {
  const loops = {
    'an endless loop': 'while True: pass',
    'an endless loop that catches everything': `
import signal
while True:
    try:
        while True: pass
    except BaseException: pass`,
    'an endless loop in native code': 'import re\nre.match("(a*)*b", "a" * 60)',
  }
  describe('endless', () => {
    let run: Bed
    beforeAll(async () => {
      run = await bed({ limits: { callTimeoutMs: 700 } })
    })
    afterAll(() => run[Symbol.asyncDispose]())

    // Each of them gets the interpreter that came after the one before.
    test.each(Object.entries(loops))('[SANDBOX-11] %s is ended and the next call works', async (_name, code) => {
      expect(await codeOf(run.execute(code))).toBe('sandbox.timeout')
      expect(await run.execute('result = 1')).toBe(1)
    })
  })

  test('[SANDBOX-12] an allocation beyond the limit ends the script, not the machine', async () => {
    await using run = await bed({ limits: { memoryBytes: 256 * MiB } })
    expect(await codeOf(run.execute('x = []\nwhile True: x.append(bytearray(16 << 20))'))).toBe('sandbox.memory')
    expect(await run.execute('result = 1')).toBe(1)
    // Where addresses have 32 bits, Python refuses the number itself before it asks for memory.
    const at4GiB = await run.execute('x = bytearray(4 << 30)\nresult = 1').catch((error: unknown) => error)
    expect(at4GiB instanceof AppError ? at4GiB.code : shown(at4GiB as Value)).toSatisfy(
      (end: unknown) => end === 'sandbox.memory' || (end as { status: string }).status === 'error',
    )
    expect(await run.execute('result = 2')).toBe(2)
  })

  test('[SANDBOX-12] files in the temporary folder are no way around the limit', async () => {
    await using run = await bed({ limits: { memoryBytes: 128 * MiB, callTimeoutMs: 30_000 } })
    const code = 'n = 0\nwhile True:\n    n += 1\n    open(f"/tmp/{n}", "wb").write(bytes(16 << 20))'
    expect(await ended(run.execute(code))).toBe(true)
    expect(await run.execute('result = 1')).toBe(1)
  })

  test('[SANDBOX-13] a script can start no process, and only so many threads', async () => {
    await using run = await bed()
    const bomb = 'import os\nwhile True: os.fork()'
    expect(shown(await run.execute(bomb))).toMatchObject({ status: 'error' })
    for (const code of [
      'import os\nif os.system("true") != 0: raise OSError("no shell")',
      'import subprocess\nresult = subprocess.run(["/bin/sh", "-c", "echo hi"], capture_output=True).stdout',
      'import os\nresult = os.posix_spawn("/bin/sh", ["sh"], {})',
      'import multiprocessing\nmultiprocessing.Process(target=print).start()',
    ]) {
      expect(await ended(run.execute(code)), code).toBe(true)
    }
    const threads =
      'import threading, time\nfor i in range(5000): threading.Thread(target=time.sleep, args=(2,)).start()'
    expect(await ended(run.execute(threads))).toBe(true)
    expect(await run.execute('result = 1')).toBe(1)
  })

  test('[SANDBOX-17] results and files beyond their limits are refused', async () => {
    await using run = await bed({ limits: { outputBytes: 10_000, fileBytes: MiB } })
    expect(shown(await run.execute('result = "x" * 20_000'))).toMatchObject({ status: 'error' })
    expect(shown(await run.execute('raise ValueError("x" * 100_000_000)'))).toMatchObject({ status: 'error' })
    const tooLarge = 'f = open("big", "wb", 0)\nwhile True: f.write(b"x" * 100_000)'
    expect(shown(await run.execute(tooLarge))).toMatchObject({ status: 'error' })
    expect((await readFile(join(run.folder, 'big'))).length).toBeLessThanOrEqual(MiB)
    expect(await run.execute('result = 1')).toBe(1)
  })

  test('[SANDBOX-33] a folder that gets too full ends the script, and further ones until it is emptied', async () => {
    await using run = await bed({ limits: { folderBytes: 3 * MiB, folderFiles: 200 } })
    const write = 'open("f" + str(i), "wb").write(b"x" * size)'
    const fill = `import time, os\nfor i in range(count): ${write}\ntime.sleep(60)`
    for (const sizes of ['size, count = 1_000_000, 10', 'size, count = 1, 300']) {
      await expect(run.execute(`${sizes}\n${fill}`)).rejects.toMatchObject({
        code: 'sandbox.crashed',
        message: expect.stringContaining('folder holds more than') as string,
      })
      await expect(run.execute('result = 1')).rejects.toMatchObject({ code: 'sandbox.crashed' })
      for (const name of await readdir(run.folder)) await rm(join(run.folder, name))
      expect(await run.execute('result = 1')).toBe(1)
    }
  })

  test('[SANDBOX-18] deep recursion and broken interpreters end the step alone', async () => {
    await using run = await bed({ limits: { callTimeoutMs: 4_000 } })
    for (const code of [
      'def f(): return f()\nf()',
      'x = []\nfor i in range(100_000): x = [x]\nresult = x',
      'import sys\nsys.setrecursionlimit(10**9)\ndef f(): return [f()]\nf()',
      'x = []\nx.append(x)\nresult = x',
      'import os\nos._exit(0)',
      'import os, signal\nos.kill(os.getpid(), signal.SIGKILL)',
      'import ctypes\nctypes.string_at(2**32 - 64)',
    ]) {
      expect(await ended(run.execute(code)), code).toBe(true)
      expect(await run.execute('result = 1'), code).toBe(1)
    }
  })

  test('[SANDBOX-31] a script that speaks for its interpreter harms its own call only', async () => {
    await using run = await bed({ limits: { callTimeoutMs: 4_000, outputBytes: 1000 } })
    const say = (text: string): string => `
import os
for descriptor in range(3, 12):
    try: os.write(descriptor, ${text})
    except OSError: pass
result = 1`
    for (const text of ['b"garbage\\n"', 'b\'{"id":999,"type":"value","value":5}\\n\'', 'b"x" * 100_000']) {
      const end = await run.execute(say(text)).catch((error: unknown) => error)
      expect(end === 1 || (end instanceof AppError && end.code.startsWith('sandbox.')), String(end)).toBe(true)
      expect(await run.execute('result = 2')).toBe(2)
    }
  })
}

function endTests(bed: OpenBed): void {
  test('[SANDBOX-19] a call that is aborted ends at once with the reason, and the next one works', async () => {
    await using run = await bed()
    await run.execute('result = 1')
    const stop = new AbortController()
    const call = run.session.execute({
      ...{ path: 'a.py', code: 'while True: pass', globals: PyDict.of([]) },
      signal: stop.signal,
    })
    setTimeout(() => stop.abort(new AppError('cancelled', 'stopped by a person')), 50)
    await expect(call).rejects.toThrow('stopped by a person')
    expect(await run.execute('result = 2')).toBe(2)
  })

  test('[SANDBOX-20] a closed session refuses calls, also those that wait', async () => {
    const run = await bed()
    const calls = [run.execute('while True: pass'), run.execute('result = 1')].map(codeOf)
    await run[Symbol.asyncDispose]()
    expect(await Promise.all([...calls, codeOf(run.execute('result = 1'))])).toEqual(Array(3).fill('cancelled'))
  })

  test('[SANDBOX-20] the signal of a session closes it', async () => {
    const stop = new AbortController()
    await using run = await bed({ signal: stop.signal })
    const call = codeOf(run.execute('while True: pass'))
    stop.abort()
    expect(await call).toBe('cancelled')
  })

  test('[SANDBOX-21] only an existing absolute folder is shown to scripts', async () => {
    for (const folder of ['/', '/nothing-here', 'packages', '/tmp/../etc']) {
      expect(await codeOf(bed({ folder })), folder).toBe('sandbox.unavailable')
    }
  })
}

interface Bed extends AsyncDisposable {
  readonly folder: string
  readonly session: PythonSession
  /** Removes everything in the folder. */
  empty(): Promise<void>
  execute(code: string, globals?: Record<string, Value>): Promise<Value>
  call(code: string, args?: Record<string, Value>, options?: { withBody: boolean }): Promise<Value>
}

async function openBed(sandboxes: PythonSandboxes, options: Partial<OpenSandbox>): Promise<Bed> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'slipway-sandbox-')))
  const session = await sandboxes.open({ folder, ...options })
  const path = 'scripts/script.py'
  return {
    folder,
    session,
    empty: async () => {
      for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true })
    },
    execute: (code, globals = {}) => session.execute({ path, code, globals: PyDict.from(globals) }),
    call: (code, args = {}, { withBody } = { withBody: true }) =>
      session.callFunction({ path, code, functionName: 'main', args: PyDict.from(args), withBody }),
    async [Symbol.asyncDispose]() {
      await session[Symbol.asyncDispose]()
      await rm(folder, { recursive: true, force: true })
    },
  }
}

/** A value as plain data, for comparing. */
function shown(value: Value): unknown {
  if (value instanceof PyFloat) return value.value
  if (value instanceof PyDict) return Object.fromEntries([...value.entries()].map(([key, item]) => [key, shown(item)]))
  return Array.isArray(value) ? value.map(item => shown(item as Value)) : value
}

/** True when the step failed, in whichever of the two ways. */
async function ended(call: Promise<Value>): Promise<boolean> {
  try {
    return (shown(await call) as { status?: string } | null)?.status === 'error'
  } catch (error) {
    return error instanceof AppError && error.code.startsWith('sandbox.')
  }
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    return `no error: ${String(await work)}`
  } catch (error) {
    return error instanceof AppError ? error.code : String(error)
  }
}
