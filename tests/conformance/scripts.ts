import {
  openPythonSandboxes,
  type PythonSandboxes,
  type PythonSession,
} from '@slipway/server/features/sandboxes/sandboxes'
import type { ScriptRunner } from './play-case.ts'

/** Runs the scripts of cases in the sandboxes that the server uses, one session per folder. */
export interface Scripts {
  /** `replay` runs nothing; `process` and `wasm` name a sandbox, anything else takes what the machine has. */
  readonly runnerFor: (python: string) => ScriptRunner | undefined
  readonly close: () => Promise<void>
}

export function openScripts(): Scripts {
  const opened = new Map<string, Promise<PythonSandboxes>>()
  const sessions = new Map<string, Promise<PythonSession>>()
  const sandboxes = (want: 'auto' | 'process' | 'wasm'): Promise<PythonSandboxes> => {
    const known = opened.get(want) ?? openPythonSandboxes(want)
    opened.set(want, known)
    return known
  }
  const sessionIn = (want: 'auto' | 'process' | 'wasm', folder: string): Promise<PythonSession> => {
    const known = sessions.get(folder) ?? sandboxes(want).then(found => found.open({ folder }))
    sessions.set(folder, known)
    return known
  }
  return {
    runnerFor: python => {
      if (python === 'replay') return undefined
      const want = python === 'process' || python === 'wasm' ? python : 'auto'
      return async (effect, folder) => {
        try {
          const session = await sessionIn(want, folder)
          const value =
            effect.type === 'script.call' ? await session.callFunction(effect) : await session.execute(effect)
          return { ok: true, value }
        } catch (error) {
          const name = error instanceof Error ? error.name : 'Error'
          return { ok: false, error: { name, message: error instanceof Error ? error.message : String(error) } }
        }
      }
    },
    close: async () => {
      for (const session of sessions.values()) await (await session)[Symbol.asyncDispose]()
      for (const found of opened.values()) await (await found).close()
    },
  }
}
