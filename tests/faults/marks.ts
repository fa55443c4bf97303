import { DatabaseSync } from 'node:sqlite'
import { openDatabase } from '@slipway/server/db/database'

/** What was on disk at a moment after a server was killed. */
export interface Mark {
  /** Numbered entries of each run's journal: answered calls and applied commands. */
  readonly entries: ReadonlyMap<string, number>
  readonly leases: ReadonlyMap<string, number>
  readonly lastEvent: number
  /** Runs that the killed servers were driving. */
  readonly orphans: ReadonlySet<string>
}

export interface MarkReader extends AsyncDisposable {
  /** `pids` are those of the servers that have just been killed. */
  read(pids: readonly number[]): Promise<Mark>
}

interface RunState {
  readonly id: string
  readonly entries: number
  readonly lease: number
  readonly owner: string | null
}

/** Reads a SQLite file without writing to it, so that the next server finds it as the last one left it. */
export function sqliteMarks(file: string): MarkReader {
  return {
    read: pids => {
      using db = new DatabaseSync(file, { readOnly: true })
      const runs = db.prepare('select id, entries, lease, owner from run').all() as unknown as RunState[]
      const counter = db.prepare('select last from event_counter').get()
      return Promise.resolve(markOf(runs, Number(counter?.['last'] ?? 0), pids))
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

export async function postgresMarks(url: string): Promise<MarkReader> {
  const db = await openDatabase(url, { poolSize: 2 })
  return {
    read: async pids => {
      const counter = await db.read.selectFrom('event_counter').select('last').executeTakeFirst()
      const runs = await db.read.selectFrom('run').select(['id', 'entries', 'lease', 'owner']).execute()
      return markOf(runs, Number(counter?.last ?? 0), pids)
    },
    [Symbol.asyncDispose]: () => db[Symbol.asyncDispose](),
  }
}

function markOf(runs: readonly RunState[], lastEvent: number, pids: readonly number[]): Mark {
  const orphans = runs.filter(({ owner }) => pids.some(pid => owner?.startsWith(`${pid}-`)))
  return {
    entries: new Map(runs.map(({ id, entries }) => [id, Number(entries)])),
    leases: new Map(runs.map(({ id, lease }) => [id, Number(lease)])),
    lastEvent,
    orphans: new Set(orphans.map(({ id }) => id)),
  }
}
