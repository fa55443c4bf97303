import type { Logger } from './log.ts'

export function circuitChanged(
  log: Logger,
  fields: {
    readonly organisation: string
    readonly circuit: string
    readonly by: string
    readonly change: 'declared' | 'rolled_back' | 'enabled' | 'paused' | 'deleted'
    readonly version: number | null
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
