import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

import { AppError } from '@slipway/protocol/errors'
import { parseJson } from '@slipway/kit/json'
import { pyodideFolder, pyodideHost, runnerScript } from '@slipway/runner/files'
import type { HostSettings } from '@slipway/runner/messages'
import { z } from 'zod'

import { checkFolder } from '../folder.ts'
import { FolderFiles } from '../folder-files.ts'
import { Interpreter } from '../interpreter.ts'
import { limitsFrom, lineLimit } from '../limits.ts'
import { watchMemory } from '../memory-watch.ts'
import { normalName } from '../requirements.ts'
import type { OpenPythonSandboxes, OpenSandbox, PythonSandboxes, SandboxLimits } from '../sandboxes.ts'
import { InterpreterSession } from '../session.ts'
import { Snapshot } from './wasm-snapshot.ts'

const MiB = 1024 * 1024
/** What Node itself holds beside the memory of the interpreter (110 MiB are usual), and what it maps for writing. */
const NODE_RESIDENT_BYTES = 384 * MiB
const NODE_MAPPED_BYTES = 1024 * MiB
// The kernel's own limits on memory that can be written and on processor time. Where util-linux is there, the process
// also dies with the server: in an endless loop it would not notice by itself.
const START = `ulimit -c 0; ulimit -d "$0"; ulimit -t 7200; unset PWD OLDPWD
if setpriv --pdeathsig KILL true 2>/dev/null; then exec setpriv --pdeathsig KILL --no-new-privs "$@"; fi
exec "$@"`
const LARGEST_IMAGE = 256 * MiB

/** Sandboxes that need nothing installed: Pyodide in a process of its own under Node's permission model. */
export function openWasmSandboxes(options: OpenPythonSandboxes = {}): PythonSandboxes {
  const sessions = new Set<InterpreterSession>()
  const snapshot = new Snapshot(options.dataFolder, makeImage)
  return {
    kind: 'wasm',
    async open(sandbox) {
      await checkFolder(sandbox.folder)
      const limits = limitsFrom(sandbox.limits, options.limits)
      const launch = async (): Promise<Interpreter> => startInterpreter(sandbox, limits, await snapshot.path())
      const session = new InterpreterSession(launch, sandbox, { limits, onClose: () => sessions.delete(session) })
      sessions.add(session)
      return session
    },
    packages: presentPackages,
    async close() {
      await Promise.all([...sessions].map(session => session[Symbol.asyncDispose]()))
      await snapshot.close()
    },
  }
}

/**
 * Node's arguments for the interpreter process: no files but those named, no processes, workers, sockets, add-ons or
 * inspector, no code made from text, and V8's own limits on memory.
 */
export function lockedNodeArguments(readable: readonly string[], memoryBytes: number): string[] {
  return [
    '--permission',
    ...readable.map(path => `--allow-fs-read=${path}`),
    '--disallow-code-generation-from-strings',
    '--no-addons',
    // Built-in modules that Node 26 does not (SQLite) or need not hold to its permissions.
    ...['--no-experimental-sqlite', '--no-experimental-ffi', '--no-experimental-webstorage'],
    '--no-warnings',
    '--max-old-space-size=192',
    `--wasm-max-mem-pages=${Math.floor(memoryBytes / 65_536)}`,
  ]
}

function startInterpreter(sandbox: OpenSandbox, limits: SandboxLimits, snapshot: string | undefined): Interpreter {
  const child = startHost(
    { task: 'serve', pyodideFolder, runnerScript, folder: sandbox.folder, outputBytes: limits.outputBytes, snapshot },
    limits.memoryBytes,
  )
  const files = new FolderFiles(sandbox.folder, limits.fileBytes)
  return new Interpreter(
    { child, requests: child.stdio[3] as Writable, replies: child.stdio[4] as Readable },
    {
      lineBytes: lineLimit(limits),
      answer: line => files.answer(line),
      watch: (pid, end) => watchMemory(pid, limits.memoryBytes + NODE_RESIDENT_BYTES, end),
    },
  )
}

function startHost(settings: HostSettings, memoryBytes: number): ChildProcess {
  const readable = [
    join(pyodideFolder, '*'),
    pyodideHost,
    runnerScript,
    ...(settings.snapshot ? [settings.snapshot] : []),
  ]
  const args = [...lockedNodeArguments(readable, memoryBytes), pyodideHost, JSON.stringify(settings)]
  const stdio = ['ignore', 'ignore', 'pipe', 'pipe', 'pipe'] as const
  if (process.platform === 'win32')
    return spawn(process.execPath, args, { stdio: [...stdio], env: {}, cwd: pyodideFolder })
  const dataKiB = Math.ceil((memoryBytes + NODE_MAPPED_BYTES) / 1024)
  const command = ['-c', START, String(dataKiB), process.execPath, ...args]
  return spawn('/bin/sh', command, { stdio: [...stdio], env: {}, cwd: pyodideFolder })
}

async function makeImage(): Promise<Buffer> {
  const child = startHost(
    { task: 'snapshot', pyodideFolder, runnerScript, folder: '/', outputBytes: 0 },
    LARGEST_IMAGE * 4,
  )
  const chunks: Buffer[] = []
  let bytes = 0
  const image = child.stdio[4] as Readable
  image.on('data', (chunk: Buffer) => {
    bytes += chunk.length
    if (bytes > LARGEST_IMAGE) child.kill('SIGKILL')
    else chunks.push(chunk)
  })
  child.stderr?.resume()
  await once(child, 'close')
  if (child.exitCode !== 0 || bytes === 0) {
    throw new AppError('sandbox.unavailable', 'The start image of the wasm sandbox could not be made.')
  }
  return Buffer.concat(chunks)
}

const LockFile = z.object({
  packages: z.record(z.string(), z.object({ name: z.string(), version: z.string(), file_name: z.string() })),
})

/** Packages of Pyodide's own list whose files are really there: nothing is ever downloaded. */
async function presentPackages(): Promise<ReadonlyMap<string, string>> {
  const lock = LockFile.parse(parseJson(await readFile(join(pyodideFolder, 'pyodide-lock.json'), 'utf8')))
  const found = await Promise.all(
    Object.values(lock.packages).map(async entry => {
      const there = await stat(join(pyodideFolder, entry.file_name)).then(
        () => true,
        () => false,
      )
      return there ? ([normalName(entry.name), entry.version] as const) : undefined
    }),
  )
  return new Map(found.filter(entry => entry !== undefined))
}
