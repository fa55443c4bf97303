import type { Logger } from './log.ts'

interface OperatorFields {
  readonly organisation: string
  readonly id: string
}

export function operatorGone(log: Logger, fields: OperatorFields & { readonly reason: string }): void {
  log.warn(fields, 'operator gone')
}

export function operatorFailed(
  log: Logger,
  fields: Partial<OperatorFields> & { readonly doing: string; readonly error: unknown },
): void {
  log.error(fields, 'operator not served')
}
