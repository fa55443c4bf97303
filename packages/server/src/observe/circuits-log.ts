import type { Logger } from './log.ts'

export function circuitChanged(
  log: Logger,
  fields: {
    readonly organisation: string
    readonly circuit: string
    readonly by: string
    readonly change: string
    readonly version: number
  },
): void {
  log.info(fields, 'circuit changed')
}

export function circuitFailed(
  log: Logger,
  fields: { readonly organisation: string; readonly circuit: string; readonly error: unknown },
): void {
  log.error(fields, 'circuit failed')
}
