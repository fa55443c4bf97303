import { lstat, readlink, realpath } from 'node:fs/promises'
import { dirname, isAbsolute, resolve } from 'node:path'

import { runnerScript } from '@slipway/runner/files'

import type { InstalledPython } from './installed-python.ts'
import type { BubblewrapFeatures } from './process-sandbox.ts'

const TEMPORARY_BYTES = 64 * 1024 * 1024

/** Folders of shared libraries; nothing of a person or of the server lives there. */
const SYSTEM_LIBRARIES = ['/lib', '/lib64', '/lib32', '/usr/lib', '/usr/lib64', '/usr/lib32', '/usr/local/lib']
const SYSTEM_DATA = ['/etc/ld.so.cache', '/usr/share/zoneinfo']

export interface SandboxView {
  readonly python: InstalledPython
  readonly features: BubblewrapFeatures
  readonly folder: string
}

/**
 * The arguments of bubblewrap that say what exists inside: the Python installation and system libraries to read, a
 * small temporary folder, the runner, and the run's folder under its own path.
 */
export async function sandboxView({ python, features, folder }: SandboxView): Promise<string[]> {
  return [
    ...['--unshare-user', '--unshare-ipc', '--unshare-pid', '--unshare-net', '--unshare-uts', '--unshare-cgroup-try'],
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--hostname', 'sandbox'],
    ...['--uid', '1000', '--gid', '1000'],
    ...(features.disableUserns ? ['--disable-userns'] : []),
    ...(await libraries()),
    ...SYSTEM_DATA.flatMap(path => ['--ro-bind-try', path, path]),
    ...(await installation(python)),
    ...['--ro-bind', runnerScript, '/slipway/slipway_runner.py'],
    ...['--dev', '/dev', '--remount-ro', '/dev'],
    // Without a size a script could fill the machine's memory with files; then there is no temporary folder at all.
    ...(features.size ? ['--size', String(TEMPORARY_BYTES), '--tmpfs', '/tmp'] : ['--dir', '/tmp']),
    ...['--bind', await realpath(folder), folder],
    ...['--remount-ro', '/', '--chdir', folder],
  ]
}

async function libraries(): Promise<string[]> {
  const views = await Promise.all(
    SYSTEM_LIBRARIES.map(async path => {
      const link = await readlink(path).catch(() => undefined)
      return link === undefined ? ['--ro-bind-try', path, path] : ['--symlink', link, path]
    }),
  )
  return views.flat()
}

async function installation(python: InstalledPython): Promise<string[]> {
  const folders = python.folders.filter(path => !SYSTEM_LIBRARIES.some(shown => isInside(path, shown)))
  const outside = (await linkChain(python.executable)).filter(path => !folders.some(shown => isInside(path, shown)))
  return [
    ...folders.flatMap(path => ['--ro-bind-try', path, path]),
    ...outside.flatMap(path => ['--ro-bind', path, path]),
  ]
}

/** The path and every link on the way to the file, so that an interpreter finds its own place as it does outside. */
async function linkChain(path: string): Promise<string[]> {
  const chain = [path]
  for (let at = path; chain.length < 20 && (await lstat(at)).isSymbolicLink(); chain.push(at)) {
    const target = await readlink(at)
    at = isAbsolute(target) ? target : resolve(dirname(at), target)
  }
  return chain
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`)
}
