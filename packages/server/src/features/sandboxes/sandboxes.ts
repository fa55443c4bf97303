import type { PyDict, Value } from '@slipway/engine/value/value'

import { openProcessSandboxes, probeProcessSandbox } from './adapters/process-sandbox.ts'
import { openWasmSandboxes } from './adapters/wasm-sandbox.ts'
import { AppError } from '@slipway/protocol/errors'

/**
 * Runs the Python of plans where it can do no harm.
 *
 * Promises of every adapter: a script sees the run's folder and nothing else of the machine, has no network, no
 * environment and no other programs, and is ended when it passes a limit; the server itself is never at risk.
 */
export interface PythonSandboxes {
  readonly kind: 'process' | 'wasm'
  open(options: OpenSandbox): Promise<PythonSession>
  /** Names and versions of the packages that scripts can import beside the standard library; names are normalised. */
  packages(): Promise<ReadonlyMap<string, string>>
  /** Ends every session and its interpreter. */
  close(): Promise<void>
}

export interface OpenSandbox {
  /** Absolute. The only folder scripts see, readable and writable, under this same path; their working folder. */
  readonly folder: string
  readonly limits?: Partial<SandboxLimits> | undefined
  /** Aborts whatever the session is doing and closes it. */
  readonly signal?: AbortSignal | undefined
  /** Told what scripts printed, after each call that printed something; cut at `outputBytes`. */
  readonly onOutput?: ((text: string) => void) | undefined
}

export interface SandboxLimits {
  /** Wall time of one call; the interpreter is ended when it takes longer. */
  readonly callTimeoutMs: number
  /** Memory of the interpreter and the script together. */
  readonly memoryBytes: number
  /** Threads at a time. Scripts can start no processes at all. */
  readonly processes: number
  /** Size of one file that a script writes. */
  readonly fileBytes: number
  /** Size of one result as text, and of what one call prints. */
  readonly outputBytes: number
  /** Size of all files in the run's folder together, looked at from time to time. */
  readonly folderBytes: number
  /** Files and folders in the run's folder. */
  readonly folderFiles: number
}

/**
 * One interpreter for one run: started by the first call, kept for the next ones, replaced after it had to be ended.
 * Calls run one after another in the order they were made.
 *
 * An exception of a script is an ordinary value `{status: 'error', message}`. When the sandbox itself had to stop the
 * script, the call fails with `sandbox.timeout`, `sandbox.memory`, `sandbox.crashed` or `sandbox.unavailable`, and the
 * next call finds a fresh interpreter.
 */
export interface PythonSession extends AsyncDisposable {
  /** Runs `code` as a module and calls its function with `args` by name; what it returns. */
  callFunction(call: FunctionCall): Promise<Value>
  /** Runs `code` with `globals` as global variables; its global `result`, else `{status: 'warning', message}`. */
  execute(call: ScriptCall): Promise<Value>
}

export interface FunctionCall {
  /** Where the script is said to be, relative to the folder; the file itself is not read. */
  readonly path: string
  readonly code: string
  readonly functionName: string
  readonly args: PyDict
  /** Also pass `body` if the function has a parameter of that name or `**kwargs`. */
  readonly withBody: boolean
  /** A limit of this call below the session's `callTimeoutMs`. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** Told which files the script wrote, moved or removed, relative to the folder, just before the call resolves. */
  readonly onFiles?: ((paths: readonly string[]) => void) | undefined
}

export interface ScriptCall {
  readonly path: string
  readonly code: string
  readonly globals: PyDict
  /** A limit of this call below the session's `callTimeoutMs`. */
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
  /** As for a function. */
  readonly onFiles?: ((paths: readonly string[]) => void) | undefined
}

export interface OpenPythonSandboxes {
  /** Where the start image of the wasm interpreter is kept; without it, one is made per call and removed by `close`. */
  readonly dataFolder?: string | undefined
  /** Defaults of every session. */
  readonly limits?: Partial<SandboxLimits> | undefined
  /** Name or path of the CPython that the process adapter runs. */
  readonly python?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/**
 * Opens the adapter that is asked for. `auto` takes `process` when bubblewrap, CPython and unprivileged namespaces
 * really work together on this machine (tried once, by running a script), else `wasm`, which needs nothing installed.
 * Throws `sandbox.unavailable` with the reason when the adapter asked for cannot run here.
 */
export async function openPythonSandboxes(
  want: 'auto' | 'process' | 'wasm',
  options: OpenPythonSandboxes = {},
): Promise<PythonSandboxes> {
  if (want === 'wasm') return openWasmSandboxes(options)
  const probe = await probeProcessSandbox(options)
  if (probe.works) return openProcessSandboxes(probe, options)
  if (want === 'auto') return openWasmSandboxes(options)
  throw new AppError('sandbox.unavailable', `${probe.reason} Use the wasm sandbox, which needs nothing installed.`)
}
