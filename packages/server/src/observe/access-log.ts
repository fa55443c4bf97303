import type { Logger } from 'pino'

interface TokenEvent {
  readonly id: string
  readonly organisation: string
  /** The subject of whoever did it. */
  readonly by: string
}

export function tokenCreated(log: Logger, token: TokenEvent & { readonly scopes: readonly string[] }): void {
  log.info(token, 'token created')
}

export function tokenRevoked(log: Logger, token: TokenEvent): void {
  log.info(token, 'token revoked')
}
