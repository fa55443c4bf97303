import { parseJson } from '@slipway/kit/json'
import type { AuditEntry } from '@slipway/protocol/access'
import type { Database, Tx } from '#db/database'
import type { Identity } from '#http/authenticate'
import { insertEntry, selectEntries, trimEntries, type AuditFilter, type AuditRow } from './audit-store.ts'

/** Something that was done; whoever writes it down is where it is done. */
export type Deed = Pick<AuditEntry, 'kind' | 'name' | 'change'> &
  Partial<Pick<AuditEntry, 'version' | 'digest'>> & {
    readonly details?: Readonly<Record<string, unknown>> | undefined
    /** Whose thing it is; that of whoever does it unless said. */
    readonly organisation?: string | undefined
  }

const keptEntries = 10_000

/** Who changed what of an organisation, and when: written in the transaction of the change itself. */
export class Audit {
  readonly #db: Database
  readonly #now: () => number

  constructor({ db, now }: { readonly db: Database; readonly now: () => number }) {
    this.#db = db
    this.#now = now
  }

  async note(tx: Tx, by: Pick<Identity, 'organisation' | 'subject'>, deed: Deed): Promise<void> {
    const { kind, name, change, version = null, digest = null, details = {} } = deed
    const organisation = deed.organisation ?? by.organisation
    const at = Math.round(this.#now())
    const entry = { organisation, kind, name, change, version, digest, details: JSON.stringify(details) }
    await insertEntry(tx, { ...entry, by: by.subject, at })
    await trimEntries(tx, organisation, keptEntries)
  }

  /** Newest first. */
  async list(
    { organisation }: Pick<Identity, 'organisation'>,
    filter: AuditFilter,
  ): Promise<{ readonly entries: AuditEntry[]; readonly next: number | null }> {
    const { limit } = filter
    const rows = await selectEntries(this.#db.read, organisation, { ...filter, limit: limit + 1 })
    const page = rows.slice(0, limit)
    return { entries: page.map(view), next: rows.length > limit ? (page.at(-1)?.position ?? null) : null }
  }
}

function view({ kind, name, change, version, digest, details, by, at }: AuditRow): AuditEntry {
  return {
    kind: kind as AuditEntry['kind'],
    name,
    change: change as AuditEntry['change'],
    version,
    digest,
    // Only objects are written.
    details: parseJson(details) as AuditEntry['details'],
    by,
    at: new Date(at).toISOString(),
  }
}
