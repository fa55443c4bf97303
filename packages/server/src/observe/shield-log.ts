import type { ErrorCode } from '@slipway/protocol/errors'
import type { Logger } from './log.ts'

export interface SessionFields {
  readonly session: string
  readonly organisation: string
  readonly subject: string
}

export function busConnected(log: Logger, fields: SessionFields & { readonly client: string }): void {
  log.info(fields, 'bus client connected')
}

export function busClosed(log: Logger, fields: SessionFields & { readonly reason: string }): void {
  log.info(fields, 'bus client gone')
}

export function frameRefused(
  log: Logger,
  fields: SessionFields & { readonly code: ErrorCode; readonly frame: string },
): void {
  log.debug(fields, 'frame refused')
}

export function frameFailed(
  log: Logger,
  fields: SessionFields & { readonly frame: string; readonly error: unknown },
): void {
  log.error(fields, 'frame failed')
}
