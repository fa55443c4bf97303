import { execFile, spawn } from 'node:child_process'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'

import { PyDict } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'

import { checkFolder } from '../folder.ts'
import { Interpreter } from '../interpreter.ts'
import { limitsFrom, lineLimit } from '../limits.ts'
import type { OpenPythonSandboxes, OpenSandbox, PythonSandboxes, SandboxLimits } from '../sandboxes.ts'
import { InterpreterSession } from '../session.ts'
import { findPython, type InstalledPython, packagesOf } from './installed-python.ts'
import { seccompFilter } from './seccomp.ts'
import { sandboxView } from './sandbox-view.ts'

const BWRAP = 'bwrap'

export type ProcessProbe =
  | { readonly works: true; readonly python: InstalledPython; readonly features: BubblewrapFeatures }
  | { readonly works: false; readonly reason: string }

export interface BubblewrapFeatures {
  /** Bubblewrap 0.8 and later: processes inside cannot make user namespaces of their own. */
  readonly disableUserns: boolean
  /** Bubblewrap 0.7 and later: a temporary file system with a size. */
  readonly size: boolean
}

/** Finds out by trying: bubblewrap, CPython, namespaces and the filter must run a script together. */
export async function probeProcessSandbox(
  options: Pick<OpenPythonSandboxes, 'python' | 'signal'> = {},
): Promise<ProcessProbe> {
  if (process.platform !== 'linux') return { works: false, reason: 'The process sandbox needs Linux.' }
  if (!seccompFilter(process.arch)) {
    return { works: false, reason: `The process sandbox has no system call filter for ${process.arch}.` }
  }
  const help = await outputOf(BWRAP, ['--help'], options.signal)
  if (!help.ok) return { works: false, reason: 'bubblewrap (bwrap) is not installed.' }
  const python = await findPython(options.python ?? 'python3', options.signal)
  if (!python) return { works: false, reason: `${options.python ?? 'python3'} is not installed or older than 3.9.` }
  const features = { disableUserns: help.text.includes('--disable-userns'), size: help.text.includes('--size') }
  const probe: ProcessProbe = { works: true, python, features }
  const failure = await tryOut(probe)
  return failure ? { works: false, reason: `bubblewrap cannot make a sandbox here: ${failure}` } : probe
}

export function openProcessSandboxes(
  probe: Extract<ProcessProbe, { works: true }>,
  options: OpenPythonSandboxes = {},
): PythonSandboxes {
  const sessions = new Set<InterpreterSession>()
  let packages: Promise<ReadonlyMap<string, string>> | undefined
  return {
    kind: 'process',
    async open(sandbox) {
      await checkFolder(sandbox.folder)
      const limits = limitsFrom(sandbox.limits, options.limits)
      const session = new InterpreterSession(launcher(probe), sandbox, {
        limits,
        onClose: () => sessions.delete(session),
      })
      sessions.add(session)
      return session
    },
    packages: () => (packages ??= packagesOf(probe.python)),
    async close() {
      await Promise.all([...sessions].map(session => session[Symbol.asyncDispose]()))
    },
  }
}

function launcher(probe: Extract<ProcessProbe, { works: true }>) {
  return async (sandbox: OpenSandbox, limits: SandboxLimits): Promise<Interpreter> => {
    const view = await sandboxView({ python: probe.python, features: probe.features, folder: sandbox.folder })
    const child = spawn(
      BWRAP,
      [...view, '--seccomp', '3', '--', ...interpreterCommand(probe.python), sandbox.folder, JSON.stringify(limits)],
      // A fixed seed makes the order of sets, and so a run's prompts, the same every time.
      { stdio: ['pipe', 'pipe', 'pipe', 'pipe'], env: { PYTHONHASHSEED: '0', PATH: '/usr/bin:/bin' }, detached: true },
    )
    const filter = child.stdio[3] as Writable | undefined
    filter?.on('error', () => undefined)
    filter?.end(seccompFilter(process.arch))
    return new Interpreter({ child, requests: child.stdin, replies: child.stdout }, { lineBytes: lineLimit(limits) })
  }
}

function interpreterCommand(python: InstalledPython): string[] {
  return [python.executable, '-s', '-B', '-X', 'utf8', '/slipway/slipway_runner.py']
}

async function tryOut(probe: Extract<ProcessProbe, { works: true }>): Promise<string | undefined> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'slipway-probe-')))
  const sandboxes = openProcessSandboxes(probe)
  try {
    const session = await sandboxes.open({ folder, limits: { callTimeoutMs: 10_000 } })
    const answer = await session.execute({ path: 'probe.py', code: 'result = 6 * 7', globals: PyDict.of([]) })
    return answer === 42 ? undefined : 'a script gave a wrong answer.'
  } catch (error) {
    return error instanceof AppError ? error.message : String(error)
  } finally {
    await sandboxes.close()
    await rm(folder, { recursive: true, force: true })
  }
}

function outputOf(file: string, args: readonly string[], signal?: AbortSignal): Promise<{ ok: boolean; text: string }> {
  return new Promise(resolve => {
    execFile(file, args, { timeout: 10_000, ...(signal && { signal }) }, (error, stdout, stderr) =>
      resolve({ ok: error === null, text: stdout + stderr }),
    )
  })
}
