import type { Logger } from './log.ts'

export function circuitFailed(
  log: Logger,
  fields: { readonly organisation: string; readonly circuit: string; readonly error: unknown },
): void {
  log.error(fields, 'circuit failed')
}
