import type { Logger } from './log.ts'

export function serverStarted(log: Logger, fields: { readonly url: string; readonly startMs: number }): void {
  log.info(fields, 'server started')
}

export function serverStopping(log: Logger, fields: { readonly because: string }): void {
  log.info(fields, 'server stopping')
}

export function serverStopped(log: Logger): void {
  log.info('server stopped')
}

export interface AnsweredRequest {
  readonly requestId: string
  readonly method: string
  readonly route: string
  readonly status: number
  readonly ms: number
}

/** Reads are only of interest while looking for something; what changes something is always worth a line. */
export function requestAnswered(log: Logger, request: AnsweredRequest): void {
  const changes = !['GET', 'HEAD', 'OPTIONS'].includes(request.method)
  log[request.status >= 500 ? 'error' : changes ? 'info' : 'debug'](request, 'request answered')
}

export function requestCrashed(
  log: Logger,
  fields: { readonly requestId: string; readonly route: string; readonly error: unknown },
): void {
  log.error(fields, 'request crashed')
}

export function socketCrashed(log: Logger, fields: { readonly route: string; readonly error: unknown }): void {
  log.error(fields, 'socket crashed')
}
