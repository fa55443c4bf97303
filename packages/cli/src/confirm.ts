import { createInterface } from 'node:readline/promises'
import { AppError } from '@slipway/protocol/errors'
import type { Session } from './session.ts'

export interface ConfirmOptions {
  /** `--yes` was given. */
  readonly yes: boolean
  /** Whether it is refused where nobody can be asked; otherwise it is done. */
  readonly needsPerson: boolean
}

/** Asks on a terminal before something is done. False when the person says no. */
export async function confirmed(
  { terminal, json, signal }: Session,
  question: string,
  { yes, needsPerson }: ConfirmOptions,
): Promise<boolean> {
  if (yes) return true
  if (!terminal.interactive || json) {
    if (needsPerson) throw new AppError('input.invalid', 'This cannot be undone, and nobody can be asked. Add --yes.')
    return true
  }
  using lines = createInterface({ input: process.stdin, output: process.stdout })
  // Readline takes Ctrl-C for itself while it asks; give it back to the process.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  const typed = await lines.question(`${question} [y/N] `, { signal })
  return /^(y|yes)$/i.test(typed.trim())
}
