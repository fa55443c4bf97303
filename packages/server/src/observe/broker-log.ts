import type { Logger } from './log.ts'

export function brokerConnected(log: Logger, fields: { readonly broker: string; readonly version: string }): void {
  log.info(fields, 'broker connected')
}

export function brokerLacks(
  log: Logger,
  fields: { readonly version: string; readonly lacks: readonly string[] },
): void {
  log.warn(fields, 'broker lacks')
}

export function brokerLost(
  log: Logger,
  fields: { readonly broker: string; readonly why: string; readonly code?: string },
): void {
  log.warn(fields, 'broker not connected; it is tried again')
}

export function brokerFailed(log: Logger, fields: { readonly doing: string; readonly error: unknown }): void {
  log.error(fields, 'broker failed')
}
