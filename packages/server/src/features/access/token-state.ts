import type { TokenView } from '@slipway/protocol/access'
import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import type { Scope } from '@slipway/protocol/scopes'
import type { Identity } from '#http/authenticate'
import type { TokenRow } from './access-store.ts'

/** Why a token opens nothing any more; null for one that does. */
export function endOf({ revoked_at: revokedAt, expires_at: expiresAt }: TokenRow, now: number): AppError | null {
  if (revokedAt !== null)
    return new AppError('auth.required', `This token was revoked on ${isoTime(revokedAt)}. Ask for another one.`)
  if (expiresAt !== null && expiresAt <= now)
    return new AppError('auth.required', `This token expired on ${isoTime(expiresAt)}. Ask for another one.`)
  return null
}

export function identityOf(row: TokenRow): Identity {
  return { organisation: row.organisation, subject: subjectOf(row.id), scopes: scopesOf(row), isOperator: false }
}

export function subjectOf(id: string): string {
  return `token:${id}`
}

/** A token as clients see it. */
export function tokenView(row: TokenRow, now: number): TokenView {
  return {
    id: row.id,
    name: row.name,
    organisation: row.organisation,
    scopes: [...scopesOf(row)],
    created_by: row.created_by,
    created_at: isoTime(row.created_at),
    expires_at: row.expires_at === null ? null : isoTime(row.expires_at),
    last_used_at: row.last_used_at === null ? null : isoTime(row.last_used_at),
    revoked_at: row.revoked_at === null ? null : isoTime(row.revoked_at),
    status: row.revoked_at !== null ? 'revoked' : endOf(row, now) === null ? 'valid' : 'expired',
  } as TokenView
}

// Written by this server from checked values.
function scopesOf({ scopes }: TokenRow): readonly Scope[] {
  return parseJson(scopes) as Scope[]
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString()
}
