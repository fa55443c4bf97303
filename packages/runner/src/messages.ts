/**
 * What the server and an interpreter say to each other: one JSON text per line.
 *
 * Both ends check: the interpreter runs code of strangers, so a reply is no more than a claim of the sandbox.
 * Calls and their replies carry values of plans, so `wire.ts` of the server and `slipway_runner.py` write them as text.
 */

/** Asked by an interpreter that has no files of its own; paths are relative to the run's folder, data is base64. */
export interface FileRequest {
  readonly type: 'file'
  readonly op: FileOperation
  readonly path: string
  readonly to?: string
  readonly offset?: number
  readonly length?: number
  readonly data?: string
}

export type FileOperation =
  'stat' | 'list' | 'read' | 'write' | 'create' | 'folder' | 'truncate' | 'rename' | 'remove' | 'unfolder'

/** `error` is the name of a POSIX error such as `ENOENT`. */
export type FileReply =
  | { readonly error: string }
  | { readonly kind: 'file' | 'folder'; readonly size: number; readonly modifiedMs: number }
  | { readonly names: readonly string[] }
  | { readonly data: string }
  | { readonly written: number }

/** How a Pyodide host is told what to do, as its only argument. */
export interface HostSettings {
  readonly task: 'serve' | 'snapshot'
  readonly pyodideFolder: string
  readonly runnerScript: string
  /** The run's folder, as scripts see it. */
  readonly folder: string
  readonly outputBytes: number
  /** File made by the `snapshot` task. */
  readonly snapshot?: string | undefined
}
