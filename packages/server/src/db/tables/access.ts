import type { Generated } from 'kysely'

export interface OrganisationTable {
  readonly id: string
  readonly created_at: number
}

export interface TokenTable {
  /** The order in which they were made. */
  readonly position: Generated<number>
  /** The public part of the token's text. */
  readonly id: string
  readonly organisation: string
  readonly name: string
  /** A JSON list. */
  readonly scopes: string
  /** SHA-256 of the secret part, in hexadecimal digits. The secret itself is nowhere. */
  readonly hash: string
  readonly created_by: string
  readonly created_at: number
  readonly expires_at: number | null
  readonly last_used_at: number | null
  readonly revoked_at: number | null
}

/** Who changed what. */
export interface AuditTable {
  readonly position: Generated<number>
  readonly organisation: string
  readonly kind: string
  readonly name: string
  readonly change: string
  readonly version: number | null
  readonly digest: string | null
  /** JSON. */
  readonly details: string
  readonly by: string
  readonly at: number
}
