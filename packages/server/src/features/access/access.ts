import { parseJson } from '@slipway/kit/json'
import type { CreatedToken, CreateToken, TokenView } from '@slipway/protocol/access'
import { AppError } from '@slipway/protocol/errors'
import { tokenCreated, tokenRevoked } from '#observe/access-log'
import type { Identity } from '#http/authenticate'
import { Audit, type Deed } from './audit.ts'
import { findToken, insertOrganisation, insertToken, revokeToken, selectTokens, type TokenRow } from './access-store.ts'
import { tokenView } from './token-state.ts'
import { hashOf, newToken, writeToken } from './token-text.ts'
import { TokenVerifier, type VerifierDeps } from './token-verifier.ts'

export { Audit, type Deed } from './audit.ts'

export type AccessDeps = VerifierDeps

export interface TokenPage {
  readonly tokens: readonly TokenView[]
  /** What to give as `after` for the next page. */
  readonly next: number | null
}

/** Tokens, and whose they are. */
export class Access implements AsyncDisposable {
  readonly verifier: TokenVerifier
  readonly audit: Audit
  readonly #deps: AccessDeps

  constructor(deps: AccessDeps) {
    this.#deps = deps
    this.verifier = new TokenVerifier(deps)
    this.audit = new Audit(deps)
  }

  /** Resolves once the token is on disk. Throws `auth.forbidden` for an organisation that is not the caller's. */
  async create(by: Identity, asked: CreateToken): Promise<CreatedToken> {
    const { db, log } = this.#deps
    const organisation = asked.organisation ?? by.organisation
    checkOrganisation(by, organisation)
    const isOpen = !(await this.verifier.isClosed())
    const text = newToken()
    const row = this.#newRow(by, { asked, organisation, id: text.id, hash: hashOf(text.secret) })
    const isNew = await db.transaction(async tx => {
      const added = await insertOrganisation(tx, organisation, row.created_at)
      await insertToken(tx, row)
      await this.audit.note(tx, by, { ...deedOf(row), change: 'created' })
      return added
    })
    this.verifier.close()
    tokenCreated(log, { id: row.id, organisation, scopes: asked.scopes, by: by.subject })
    return {
      ...this.#view({ ...row, position: 0 }),
      token: writeToken(text),
      new_organisation: isNew,
      closes_server: isOpen,
    }
  }

  /** Newest first. Throws `auth.forbidden` for an organisation that is not the caller's. */
  async list(
    by: Identity,
    filter: { readonly organisation?: string | undefined; readonly limit: number; readonly after?: number | undefined },
  ): Promise<TokenPage> {
    const { limit, after } = filter
    if (filter.organisation !== undefined) checkOrganisation(by, filter.organisation)
    const organisation = filter.organisation ?? (by.isOperator ? null : by.organisation)
    const rows = await selectTokens(this.#deps.db.read, { organisation, before: after, limit: limit + 1 })
    const page = rows.slice(0, limit)
    return {
      tokens: page.map(row => this.#view(row)),
      next: rows.length > limit ? (page.at(-1)?.position ?? null) : null,
    }
  }

  /** Throws `token.unknown`. Repeating it changes nothing. */
  async revoke(by: Identity, id: string): Promise<TokenView> {
    const { db, log, now } = this.#deps
    const organisation = by.isOperator ? null : by.organisation
    const row = await db.transaction(async tx => {
      const known = await findToken(tx.sql, id)
      const revoked = await revokeToken(tx, id, { organisation, at: Math.round(now()) })
      if (revoked && known?.revoked_at === null)
        await this.audit.note(tx, by, { ...deedOf(revoked), change: 'revoked' })
      return revoked
    })
    if (!row) throw new AppError('token.unknown', `There is no token ${id}. \`slipway token list\` lists them.`)
    this.verifier.forget(row)
    tokenRevoked(log, { id, organisation: row.organisation, by: by.subject })
    return this.#view(row)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.verifier[Symbol.asyncDispose]()
  }

  #newRow(
    by: Identity,
    token: { readonly asked: CreateToken; readonly organisation: string; readonly id: string; readonly hash: string },
  ): Omit<TokenRow, 'position'> {
    const { asked, organisation, id, hash } = token
    const createdAt = Math.round(this.#deps.now())
    return {
      id,
      organisation,
      name: asked.name,
      scopes: JSON.stringify(asked.scopes),
      hash,
      created_by: by.subject,
      created_at: createdAt,
      expires_at: asked.expires_in_seconds === null ? null : createdAt + asked.expires_in_seconds * 1000,
      last_used_at: null,
      revoked_at: null,
    }
  }

  #view(row: TokenRow): TokenView {
    return tokenView(row, this.#deps.now())
  }
}

function deedOf({ id, organisation, name, scopes }: Omit<TokenRow, 'position'>): Omit<Deed, 'change'> {
  return { kind: 'token', name: id, organisation, details: { name, scopes: parseJson(scopes) } }
}

function checkOrganisation(by: Identity, organisation: string): void {
  if (by.isOperator || organisation === by.organisation) return
  throw new AppError(
    'auth.forbidden',
    'Only the operator of the server, who has its SLIPWAY_API_TOKEN, may name another organisation.',
  )
}
