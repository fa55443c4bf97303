import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Absolute paths of what runs inside a sandbox, so that a sandbox can be given exactly these and nothing else. */
export const runnerScript: string = fileURLToPath(new URL('./slipway_runner.py', import.meta.url))
export const pyodideHost: string = fileURLToPath(
  new URL(import.meta.url.endsWith('.ts') ? './pyodide-host.ts' : './pyodide-host.js', import.meta.url),
)
export const pyodideFolder: string = dirname(fileURLToPath(import.meta.resolve('pyodide/package.json')))
