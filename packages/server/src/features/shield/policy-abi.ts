import type { WasmModule } from './wasm.ts'

/** What the threads that run policies are told, and what they answer. */

export interface PolicyMessage {
  readonly payload: Uint8Array
  readonly headers: Readonly<Record<string, string>>
}

export type PolicyTask =
  | { readonly type: 'load'; readonly bytes: Uint8Array }
  /** `module` is there once for each thread. */
  | {
      readonly type: 'check'
      readonly key: string
      readonly module: WasmModule | null
      readonly message: PolicyMessage
    }

export type LoadAnswer =
  { readonly type: 'loaded'; readonly module: WasmModule } | { readonly type: 'unusable'; readonly problem: string }

/** What a policy says of a message; the last two, that it said nothing, which refuses it as well. */
export type CheckAnswer =
  | { readonly type: 'allowed'; readonly logs: readonly PolicyLog[] }
  | { readonly type: 'denied'; readonly number: number; readonly message: string; readonly logs: readonly PolicyLog[] }
  | { readonly type: 'failed'; readonly why: string; readonly logs: readonly PolicyLog[] }
  | { readonly type: 'memory'; readonly why: string }

export interface PolicyLog {
  readonly level: 'error' | 'warn' | 'info' | 'debug' | 'trace'
  readonly text: string
}

/** Modules that a thread keeps; with one more it forgets them all. */
export const modulesKept = 100

/** All that a policy may import, from `env`. */
export const allowedImports: readonly string[] = ['host_log', 'host_get_header', 'host_reject']
