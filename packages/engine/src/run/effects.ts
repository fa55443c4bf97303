import type { PyDict, Value } from '../value/value.ts'

/**
 * One call that a step makes to the outside. A step yields it and is resumed with its outcome; the host performs it,
 * journals the outcome under `key`, and only then hands it back.
 */
export type Effect =
  /** One chat completion: system text and `prompt`, temperature 0. `json` asks for the model's JSON mode. Result: text. */
  | { readonly type: 'model.generate'; readonly prompt: string; readonly json: boolean }
  /** Runs `code` as a Python module and calls `functionName(**args)`. Result: what it returned. */
  | {
      readonly type: 'script.call'
      readonly path: string
      readonly code: string
      readonly functionName: string
      readonly args: PyDict
      /** Pass `body` when the function takes `body` or `**kwargs`. */
      readonly withBody: boolean
    }
  /** Runs `code` with `globals` as its global variables. Result: the global `result`, or a warning object. */
  | { readonly type: 'script.execute'; readonly path: string; readonly code: string; readonly globals: PyDict }
  /** Result: the text of the file. Paths are as the plan wrote them; the host resolves and jails them. */
  | { readonly type: 'file.read'; readonly path: string }
  | { readonly type: 'file.exists'; readonly path: string }
  /** Result: the location that the plan may use later, as text. */
  | { readonly type: 'file.write'; readonly path: string; readonly content: string }
  /** A question to a person. Result: text, a boolean (`confirm`) or a list of paths (`multi_file_input`). */
  | { readonly type: 'input.ask'; readonly interaction: Interaction }
  /** Waits for the next message of the chat. Result: `{role, content}`. */
  | { readonly type: 'chat.read' }
  | { readonly type: 'chat.write'; readonly message: Value }
  | { readonly type: 'chat.close' }
  | { readonly type: 'canvas.execute'; readonly command: Value; readonly params: Value }

export interface Interaction {
  readonly type: 'simple_text' | 'text_editor' | 'confirm' | 'multi_file_input'
  readonly prompt: string
  readonly initialText?: string | undefined
  readonly initialDirectory?: string | undefined
  /** The rest of what the paradigm configured, for display. */
  readonly options: PyDict
}

/**
 * What came back. `name` of an error is the Python exception's class name where the plan could have seen one, such as
 * `FileNotFoundError`: the plan goes on with it. Codes with a dot, such as `sandbox.timeout`, are failures of the host
 * and end the step.
 */
export type EffectOutcome =
  { readonly ok: true; readonly value: Value } | { readonly ok: false; readonly error: EffectError }

export interface EffectError {
  readonly name: string
  readonly message: string
}

/** An effect under its deterministic key: the same plan with the same answers asks for the same keys. */
export interface EffectRequest {
  /** `<flow index>#<execution>/<path of the cell and call within the step>`, unique in a run. */
  readonly key: string
  readonly flowIndex: string
  readonly effect: Effect
}
