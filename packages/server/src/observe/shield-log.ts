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

export function jobNotCarried(
  log: Logger,
  fields: {
    readonly organisation: string
    readonly operator: string
    readonly jobId: string
    readonly error: unknown
  },
): void {
  log.warn(fields, 'job not carried to its operator')
}

export function policyChanged(
  log: Logger,
  fields: {
    readonly organisation: string
    readonly policy: string
    readonly by: string
    readonly change: 'put' | 'activated' | 'deactivated' | 'deleted'
    readonly digest?: string
  },
): void {
  log.info(fields, 'policy changed')
}

export function policyNotLoaded(
  log: Logger,
  fields: { readonly organisation: string; readonly policy: string; readonly version: number; readonly error: unknown },
): void {
  log.error(fields, 'policy not loaded')
}

export function policiesNotRead(log: Logger, fields: { readonly organisation: string; readonly error: unknown }): void {
  log.warn(fields, 'policies not read')
}

/** What a policy says may have parts of a message in it, so that it is written only where everything is. */
export function policySaid(
  log: Logger,
  fields: { readonly organisation: string; readonly policy: string; readonly level: string; readonly text: string },
): void {
  log.debug(fields, 'policy said')
}
