import { AppError } from '@slipway/protocol/errors'
import type { Logger } from 'pino'
import type { Database } from '#db/database'
import type { Identity, Verifier, Watch } from '#http/authenticate'
import { findToken, hasTokens, selectTokensById, touchToken, type TokenRow } from './access-store.ts'
import { endOf, identityOf, subjectOf } from './token-state.ts'
import { hasHash, isSameText, readToken } from './token-text.ts'

export interface VerifierDeps {
  readonly db: Database
  readonly log: Logger
  /** The operator's, from the configuration. Without one the server listens to its own machine alone. */
  readonly apiToken: string | null
  /** Milliseconds since 1970. */
  readonly now: () => number
}

interface Known {
  readonly row: Promise<TokenRow | undefined>
  readonly readAt: number
}

// Together less than the five seconds in which a token that another server revoked must end.
const knownForMs = 3_000
const lookEveryMs = 2_000
const mostKnown = 1_000
const touchEveryMs = 60_000

const operator: Identity = { organisation: 'default', subject: 'operator', scopes: ['admin'], isOperator: true }
const local: Identity = { ...operator, subject: 'local' }

/**
 * Says whose a token is.
 *
 * A1. What is known of a token is a few seconds old at most, and forgotten at once where it is revoked.
 * A2. Noting that a token was used is nobody's wait and nobody's failure.
 */
export class TokenVerifier implements Verifier, AsyncDisposable {
  readonly #deps: VerifierDeps
  readonly #known = new Map<string, Known>()
  readonly #identities = new WeakMap<TokenRow, Identity>()
  /** What is open, by subject. */
  readonly #open = new Map<string, Set<AbortController>>()
  readonly #touches = new Map<string, Promise<void>>()
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null
  /** Whether somebody must have a token; never taken back. */
  #isClosed: boolean
  #lookedAt = -Infinity

  constructor(deps: VerifierDeps) {
    this.#deps = deps
    this.#isClosed = deps.apiToken !== null
  }

  async verify(token: string | null): Promise<Identity> {
    if (!(await this.isClosed())) return local
    if (token === null) throw noToken()
    const { apiToken, now } = this.#deps
    if (apiToken !== null && isSameText(token, apiToken)) return operator
    const text = readToken(token)
    const row = text && (await this.#row(text.id))
    if (!text || !row || !hasHash(text.secret, row.hash)) throw unknownToken()
    const end = endOf(row, now())
    if (end) throw end
    this.#touch(row)
    return this.#identity(row)
  }

  watch({ subject }: Identity): Watch {
    const end = new AbortController()
    const open = this.#open.get(subject) ?? new Set()
    this.#open.set(subject, open.add(end))
    this.#timer ??= setInterval(() => this.#lookAgain(), lookEveryMs).unref()
    return {
      signal: end.signal,
      [Symbol.dispose]: () => {
        open.delete(end)
        if (open.size === 0 && this.#open.get(subject) === open) this.#open.delete(subject)
        if (this.#open.size === 0) this.#stopLooking()
      },
    }
  }

  /** Whether callers must have a token: one is configured, or was ever made. */
  async isClosed(): Promise<boolean> {
    if (this.#isClosed) return true
    const { db, now } = this.#deps
    if (now() - this.#lookedAt <= knownForMs) return false
    const lookedAt = now()
    if (await hasTokens(db.read)) this.close()
    // Not before it is known: others would pass meanwhile.
    this.#lookedAt = lookedAt
    return this.#isClosed
  }

  /** From now on callers must have a token. */
  close(): void {
    this.#isClosed = true
    this.#end(local.subject, noToken())
  }

  /** Ends a token that was revoked here. */
  forget(row: TokenRow): void {
    this.#known.delete(row.id)
    const end = endOf(row, this.#deps.now())
    if (end) this.#end(subjectOf(row.id), end)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopLooking()
    await this.#looking
    await Promise.all(this.#touches.values())
  }

  #row(id: string): Promise<TokenRow | undefined> {
    const now = this.#deps.now()
    const known = this.#known.get(id)
    if (known && now - known.readAt <= knownForMs) return known.row
    const row = findToken(this.#deps.db.read, id)
    const entry: Known = { row, readAt: now }
    this.#known.delete(id)
    this.#known.set(id, entry)
    const [oldest] = this.#known.keys()
    if (this.#known.size > mostKnown && oldest !== undefined) this.#known.delete(oldest)
    // One that is not there may be made at any moment, and a failure says nothing about it.
    const drop = (): void => {
      if (this.#known.get(id) === entry) this.#known.delete(id)
    }
    row.then(found => found ?? drop(), drop)
    return row
  }

  #identity(row: TokenRow): Identity {
    const identity = this.#identities.get(row) ?? identityOf(row)
    this.#identities.set(row, identity)
    return identity
  }

  #touch({ id, last_used_at: usedAt }: TokenRow): void {
    const { db, log, now } = this.#deps
    const at = Math.round(now())
    if ((usedAt !== null && at - usedAt < touchEveryMs) || this.#touches.has(id)) return
    const touched = db
      .transaction(tx => touchToken(tx, id, { at, everyMs: touchEveryMs }))
      .catch((error: unknown) => log.warn({ error }, 'the use of a token was not noted'))
      .finally(() => this.#touches.delete(id))
    this.#touches.set(id, touched)
  }

  #lookAgain(): void {
    this.#looking ??= this.#look().finally(() => (this.#looking = null))
  }

  /** Ends what is open with tokens that hold no longer: revoked by another server, or expired. */
  async #look(): Promise<void> {
    const { db, log, now } = this.#deps
    try {
      if (this.#open.has(local.subject)) await this.isClosed()
      const subjects = [...this.#open.keys()]
      const ids = subjects.flatMap(subject => (subject.startsWith('token:') ? [subject.slice('token:'.length)] : []))
      for (let start = 0; start < ids.length; start += 500) {
        for (const row of await selectTokensById(db.read, ids.slice(start, start + 500))) {
          const end = endOf(row, now())
          if (end) this.#end(subjectOf(row.id), end)
        }
      }
    } catch (error) {
      log.warn({ error }, 'open sockets were not checked')
    }
  }

  #end(subject: string, reason: AppError): void {
    for (const controller of this.#open.get(subject) ?? []) controller.abort(reason)
  }

  #stopLooking(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#timer = null
  }
}

function noToken(): AppError {
  return new AppError('auth.required', 'This server asks for a token. Send it as "Authorization: Bearer …".')
}

function unknownToken(): AppError {
  return new AppError(
    'auth.required',
    'This is no token of this server. Use one that `slipway token create` printed, or the value of SLIPWAY_API_TOKEN there.',
  )
}
