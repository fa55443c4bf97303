import type { Logger } from './log.ts'

export interface JobFields {
  readonly jobId: string
  readonly topic: string
  readonly attempts: number
}

export function jobDead(log: Logger, fields: JobFields): void {
  log.warn(fields, 'job dead')
}

export function leaseLost(log: Logger, fields: JobFields): void {
  log.warn(fields, 'lease lost')
}

export function lateResultRefused(log: Logger, fields: { readonly jobId: string; readonly fence: number }): void {
  log.warn(fields, 'late result refused')
}

export function scheduleMisfired(log: Logger, fields: { readonly name: string; readonly lateMs: number }): void {
  log.warn(fields, 'schedule misfired')
}

export function spineFailed(log: Logger, fields: { readonly doing: string; readonly error: unknown }): void {
  log.error(fields, 'spine failed')
}

export function jobsRemoved(log: Logger, fields: { readonly jobs: number; readonly messages: number }): void {
  log.info(fields, 'jobs removed')
}
