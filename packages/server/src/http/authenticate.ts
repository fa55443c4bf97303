import type { IncomingHttpHeaders } from 'node:http'
import { AppError } from '@slipway/protocol/errors'
import type { Access, Scope } from '@slipway/protocol/scopes'

/** Who calls, as far as a verified token says. Nothing else of a request says anything about it. */
export interface Identity {
  readonly organisation: string
  /** Stands in what the caller does, such as `by` of a run's commands. */
  readonly subject: string
  readonly scopes: readonly Scope[]
  /** Runs the server: may name any organisation. */
  readonly isOperator: boolean
}

/** Of callers of public routes. Nothing belongs to its organisation. */
export const nobody: Identity = { organisation: '', subject: 'nobody', scopes: [], isOperator: false }

/** Makes identities of tokens. */
export interface Verifier {
  /** Throws `auth.required` for a token that opens nothing, and for none unless the server is open to its own machine. */
  verify(token: string | null): Promise<Identity>
  /** For what stays open: says when the identity's token holds no longer. */
  watch(identity: Identity): Watch
}

export interface Watch extends Disposable {
  /** Aborts with `auth.required`. */
  readonly signal: AbortSignal
}

export const tokenSubprotocol = 'slipway.bearer.'

/** Sockets may give the token as a subprotocol, since those of browsers carry no headers. */
export function tokenOf(headers: IncomingHttpHeaders, { isSocket }: { readonly isSocket: boolean }): string | null {
  return bearerOf(headers) ?? (isSocket ? subprotocolToken(headers) : null)
}

/** Throws `auth.forbidden` with what is missing. */
export function checkScope({ scopes }: Identity, needed: Access): void {
  if (needed === 'public' || needed === 'any' || scopes.includes('admin') || scopes.includes(needed)) return
  const has = scopes.length === 0 ? 'none' : scopes.join(', ')
  throw new AppError('auth.forbidden', `This needs the scope ${needed}; the token has ${has}.`, {
    details: { scope: needed },
  })
}

function bearerOf(headers: IncomingHttpHeaders): string | null {
  return /^Bearer +(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1] ?? null
}

function subprotocolToken(headers: IncomingHttpHeaders): string | null {
  const offered = (headers['sec-websocket-protocol'] ?? '').split(',').map(protocol => protocol.trim())
  const own = offered.find(protocol => protocol.startsWith(tokenSubprotocol))
  if (own === undefined) return null
  try {
    return decodeURIComponent(own.slice(tokenSubprotocol.length))
  } catch {
    return own.slice(tokenSubprotocol.length)
  }
}
