import { execFile } from 'node:child_process'

import { parseJson } from '@slipway/kit/json'
import { z } from 'zod'

import { normalName } from '../requirements.ts'

/** A CPython of this machine, as it describes itself. */
export interface InstalledPython {
  /** Absolute; not a shim of a version manager. */
  readonly executable: string
  readonly version: string
  /** Folders that it reads: standard library and installed packages. */
  readonly folders: readonly string[]
}

const Description = z.object({
  executable: z.string().startsWith('/'),
  version: z.string(),
  folders: z.array(z.string().startsWith('/')),
})
const Packages = z.array(z.tuple([z.string(), z.string()]))

// A prefix that is the whole system (`/usr`) is narrowed to the library folders below it.
const DESCRIBE = `
import json, os, sys
if sys.version_info < (3, 9): sys.exit(1)
prefixes = [os.path.realpath(p) for p in {sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix}]
system = ('/', '/usr', '/usr/local')
library = [os.path.realpath(p) for p in sys.path if p and os.path.isdir(p)]
own = [p for p in library if any(p.startswith(x.rstrip('/') + '/') for x in prefixes + ['/usr/lib', '/usr/local/lib'])]
folders = sorted({p for p in prefixes if p not in system} | set(own))
print(json.dumps({'executable': sys.executable, 'version': sys.version.split()[0], 'folders': folders}))
`

const LIST_PACKAGES = `
import importlib.metadata, json
found = {(d.metadata['Name'] or '', d.version or '') for d in importlib.metadata.distributions()}
print(json.dumps(sorted(found)))
`

/** Asks the interpreter that the name leads to; undefined when there is none, or one older than 3.9. */
export async function findPython(name: string, signal?: AbortSignal): Promise<InstalledPython | undefined> {
  return Description.safeParse(await answerOf(name, DESCRIBE, signal)).data
}

/** Names and versions of what is installed, by normalised name. */
export async function packagesOf(python: InstalledPython): Promise<ReadonlyMap<string, string>> {
  const packages = Packages.safeParse(await answerOf(python.executable, LIST_PACKAGES)).data ?? []
  return new Map(packages.filter(([name]) => name !== '').map(([name, version]) => [normalName(name), version]))
}

function answerOf(python: string, script: string, signal?: AbortSignal): Promise<unknown> {
  const options = { timeout: 20_000, maxBuffer: 16 * 1024 * 1024, ...(signal && { signal }) }
  return new Promise(resolve => {
    execFile(python, ['-I', '-c', script], options, (error, stdout) => {
      resolve(error ? undefined : parseJson(stdout))
    })
  })
}
