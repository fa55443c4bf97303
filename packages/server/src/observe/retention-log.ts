import type { Logger } from './log.ts'

export function runsDeleted(log: Logger, fields: { readonly runs: number; readonly because: string }): void {
  log.info(fields, 'runs deleted')
}

export function retentionFailed(log: Logger, fields: { readonly error: unknown }): void {
  log.error(fields, 'retention failed')
}

export function runNotCompacted(log: Logger, fields: { readonly runId: string; readonly error: unknown }): void {
  log.warn(fields, 'run not compacted')
}
