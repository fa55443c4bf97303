/**
 * The process around a Pyodide interpreter: `node <locked flags> pyodide-host.ts <settings as JSON>`.
 *
 * It speaks on two inherited descriptors only and works synchronously, so no promise, timer or module load that a
 * script might start ever gets a turn. Node's permission model is the wall; what is taken away here is a second one.
 */
import { constants, readFileSync, readSync, writeSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

import type { FileReply, FileRequest, HostSettings } from './messages.ts'

const REQUESTS = 3
const REPLIES = 4
const CHUNK = 512 * 1024

interface Python {
  readonly FS: EmscriptenFiles
  readonly globals: { get(name: string): unknown }
  runPython(code: string): unknown
  setStdout(options: object): void
  setStderr(options: object): void
  setStdin(options: object): void
  makeMemorySnapshot(): Uint8Array
}

interface EmscriptenFiles {
  readonly filesystems: { readonly PROXYFS: object }
  mkdirTree(path: string): void
  mount(type: object, options: object, path: string): void
}

interface Pyodide {
  loadPyodide(options: object): Promise<Python>
}

// Both texts come from the server, and a package import would need more files to be readable from in here.
// eslint-disable-next-line no-restricted-syntax -- see above
const settings = JSON.parse(process.argv[2] ?? '') as HostSettings
const lines = lineReader(REQUESTS)
// `process.exit` would run handlers, for which too little is left in this process.
const exitNow = (process as unknown as { reallyExit(code: number): never }).reallyExit.bind(process)

const python = await start()
if (settings.task === 'snapshot') sendBytes(python.makeMemorySnapshot())
else serve(python)

async function start(): Promise<Python> {
  // Pyodide asks an old interface for the constants of `fs`, which the permission model refuses to everybody.
  Object.assign(process, { binding: () => ({ fs: constants }) })
  const pyodide = (await import(pathToFileURL(`${settings.pyodideFolder}/pyodide.mjs`).href)) as Pyodide
  const loaded = await pyodide.loadPyodide({
    indexURL: `${settings.pyodideFolder}/`,
    env: { HOME: '/tmp', PYTHONHASHSEED: '0' },
    jsglobals: Object.create(null) as object,
    ...(settings.snapshot ? { _loadSnapshot: readFileSync(settings.snapshot) } : {}),
    ...(settings.task === 'snapshot' ? { _makeSnapshot: true } : {}),
  })
  if (!settings.snapshot) loadRunner(loaded)
  return loaded
}

function loadRunner(loaded: Python): void {
  const source = JSON.stringify(readFileSync(settings.runnerScript, 'utf8'))
  loaded.runPython(`
import sys, types
slipway_runner = types.ModuleType('slipway_runner')
sys.modules['slipway_runner'] = slipway_runner
exec(compile(${source}, '/slipway_runner.py', 'exec'), slipway_runner.__dict__)
slipway_runner.use_plain_event_loop()
# What most scripts import, so that it is there when they start.
import collections, datetime, functools, itertools, math, pathlib, re, statistics
`)
}

function serve(loaded: Python): void {
  const nothing = { write: (bytes: Uint8Array) => bytes.length }
  loaded.setStdout(nothing)
  loaded.setStderr(nothing)
  loaded.setStdin({ error: true })
  loaded.FS.mkdirTree(settings.folder)
  loaded.FS.mount(loaded.FS.filesystems.PROXYFS, { root: '.', fs: remoteFiles() }, settings.folder)
  const handle = prepare(loaded)
  takeAway()
  sendLine('{"type":"ready"}')
  try {
    for (let line = lines(); line !== undefined; line = lines()) sendLine(handle(line))
  } catch (error) {
    // The interpreter is broken beyond repair, or a script ended it: the server starts another one.
    writeSync(2, `${String(error).slice(0, 500)}\n`)
    exitNow(1)
  }
}

function prepare(loaded: Python): (line: string) => string {
  // `None` in sys.modules makes an import fail; without the finders nothing else leads to JavaScript by name.
  loaded.runPython(`
import asyncio.events, os, random, sys
random.seed()
os.environ.clear()
sys.meta_path[:] = [finder for finder in sys.meta_path if 'pyodide' not in type(finder).__module__]
for name in ['js', 'pyodide_js', '_pyodide_core', 'pyodide', '_pyodide', *sys.modules]:
    if name.partition('.')[0] in ('js', 'pyodide_js', '_pyodide_core', 'pyodide', '_pyodide'):
        sys.modules[name] = None
sys.path[:] = [path for path in sys.path if path]
asyncio.events._set_running_loop(None)
handle = slipway_runner.Runner(${JSON.stringify(settings.folder)}, ${settings.outputBytes}).handle
`)
  return loaded.globals.get('handle') as (line: string) => string
}

/** Removes the ways out of this process that need no file: signals to others, native code, other programs. */
function takeAway(): void {
  const process_ = process as unknown as Record<string, unknown>
  for (const name of [
    ...['kill', '_kill', '_debugProcess', '_debugEnd', 'execve', 'dlopen', 'binding', '_linkedBinding'],
    ...['getBuiltinModule', 'mainModule', 'chdir', 'umask', 'setuid', 'setgid', 'seteuid', 'setegid', 'setgroups'],
    ...['initgroups', 'env', 'report', 'loadEnvFile', 'openStdin', 'stdin', 'stdout', 'stderr', 'permission'],
  ]) {
    Reflect.deleteProperty(process_, name)
    if (process_[name] !== undefined) Reflect.defineProperty(process_, name, { value: undefined })
  }
  for (const name of [
    ...['fetch', 'Request', 'Response', 'Headers', 'FormData', 'WebSocket', 'EventSource', 'CloseEvent', 'navigator'],
    ...['BroadcastChannel', 'MessageChannel', 'MessagePort', 'Worker', 'XMLHttpRequest', 'localStorage'],
    ...['sessionStorage', 'require', 'module', 'process'],
  ]) {
    Reflect.deleteProperty(globalThis, name)
  }
  // What Pyodide still asks of both.
  const say = (...words: unknown[]): void => void writeSync(2, `${words.join(' ').slice(0, 1000)}\n`)
  Object.assign(console, { log: () => undefined, info: () => undefined, warn: () => undefined, error: say })
  Object.assign(globalThis, { process: { exitCode: 0, getuid: () => 1000 } })
}

/** Files of the run's folder for Emscripten's proxy file system: every operation is a question to the server. */
function remoteFiles(): object {
  const refuse = (): never => fail('EPERM')
  return {
    lstat(path: string) {
      const reply = ask({ type: 'file', op: 'stat', path })
      if (!('kind' in reply)) return fail('EIO')
      const time = new Date(reply.modifiedMs)
      return {
        ...{ dev: 1, ino: 0, nlink: 1, uid: 0, gid: 0, rdev: 0, blksize: 4096 },
        mode: reply.kind === 'folder' ? 0o40777 : 0o100666,
        size: reply.size,
        blocks: Math.ceil(reply.size / 512),
        ...{ atime: time, mtime: time, ctime: time },
      }
    },
    readdir(path: string) {
      const reply = ask({ type: 'file', op: 'list', path })
      return 'names' in reply ? reply.names : fail('EIO')
    },
    writeFile: (path: string) => void ask({ type: 'file', op: 'create', path }),
    mkdir: (path: string) => void ask({ type: 'file', op: 'folder', path }),
    truncate: (path: string, length: number) => void ask({ type: 'file', op: 'truncate', path, length }),
    rename: (path: string, to: string) => void ask({ type: 'file', op: 'rename', path, to }),
    unlink: (path: string) => void ask({ type: 'file', op: 'remove', path }),
    rmdir: (path: string) => void ask({ type: 'file', op: 'unfolder', path }),
    chmod: () => undefined,
    utime: () => undefined,
    symlink: refuse,
    readlink: () => fail('EINVAL'),
    open: (path: string) => path,
    close: () => undefined,
    read(path: string, heap: Int8Array, at: number, length: number, offset: number) {
      const reply = ask({ type: 'file', op: 'read', path, offset, length: Math.min(length, CHUNK) })
      if (!('data' in reply)) return fail('EIO')
      const bytes = Buffer.from(reply.data, 'base64').subarray(0, length)
      heap.set(bytes, at)
      return bytes.length
    },
    write(path: string, heap: Int8Array, at: number, length: number, offset: number) {
      const bytes = Buffer.from(heap.buffer, heap.byteOffset + at, Math.min(length, CHUNK))
      const reply = ask({ type: 'file', op: 'write', path, offset, data: bytes.toString('base64') })
      return 'written' in reply ? reply.written : fail('EIO')
    },
  }
}

function ask(request: FileRequest): Exclude<FileReply, { error: string }> {
  sendLine(JSON.stringify(request))
  // eslint-disable-next-line no-restricted-syntax -- see `settings`
  const reply = JSON.parse(lines() ?? '{"error":"EIO"}') as FileReply
  return 'error' in reply ? fail(reply.error) : reply
}

function fail(code: string): never {
  throw Object.assign(new Error(code), { code })
}

function sendLine(line: string): void {
  sendBytes(Buffer.from(`${line}\n`))
}

function sendBytes(bytes: Uint8Array): void {
  for (let sent = 0; sent < bytes.length;) sent += writeSync(REPLIES, bytes, sent)
}

/** Blocking reads of whole lines; undefined when the server is gone. */
function lineReader(descriptor: number): () => string | undefined {
  const chunk = Buffer.alloc(65_536)
  let pending: Buffer[] = []
  let rest = Buffer.alloc(0)
  return () => {
    for (;;) {
      const end = rest.indexOf(10)
      if (end >= 0) {
        const line = Buffer.concat([...pending, rest.subarray(0, end)]).toString('utf8')
        pending = []
        rest = rest.subarray(end + 1)
        return line
      }
      if (rest.length > 0) pending.push(rest)
      const count = readSync(descriptor, chunk)
      if (count === 0) return undefined
      rest = Buffer.from(chunk.subarray(0, count))
    }
  }
}
