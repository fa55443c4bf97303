import {
  makeHome,
  type Contender,
  type Entrant,
  type Home,
  type OpenOptions,
  type Session,
  type Store,
} from './contender.ts'
import type { PostgresCluster } from './postgres-cluster.ts'
import { rowOf, type Row } from './report.ts'
import { median, spread } from './rounds.ts'

/** Everybody who is measured, and what they share. */
export interface Field<Who extends Entrant = Contender> {
  readonly contenders: readonly Who[]
  readonly cluster: PostgresCluster | null
  readonly rounds: number
  /** Takes what could not be measured, with the reason. */
  readonly left: string[]
}

export interface Metric {
  readonly name: string
  readonly unit: string
  readonly better: 'higher' | 'lower'
  readonly note?: string | undefined
}

/** Those who can be measured here; the others are named in `left` with the reason that `missing` gives. */
export function present<Who extends Entrant>(
  all: readonly Who[],
  {
    only,
    left,
    missing,
  }: {
    /** Parts of names; all when empty. */
    readonly only: readonly string[]
    readonly left: string[]
    readonly missing: (who: Who) => string | null
  },
): readonly Who[] {
  return all.filter(who => {
    if (only.length > 0 && !only.some(part => who.name.toLowerCase().includes(part.toLowerCase()))) return false
    const reason = missing(who)
    if (reason !== null) left.push(`${who.name} (${reason})`)
    return reason === null
  })
}

export type Figures = ReadonlyMap<Entrant, readonly number[]>

/**
 * Rounds in which everybody has a turn, so that what else happens on the machine hits all alike. Who fails once is left
 * out with the reason.
 */
export async function roundsInTurn<Who extends Entrant, T>(
  field: Field<Who>,
  what: string,
  measure: (contender: Who) => Promise<T>,
): Promise<Map<Who, T[]>> {
  const found = new Map<Who, T[]>(field.contenders.map(contender => [contender, []]))
  for (let round = 1; round <= field.rounds; round++) {
    for (const [contender, figures] of found) {
      try {
        console.error(`  ${what}, round ${round} of ${field.rounds}: ${contender.name}`)
        figures.push(await measure(contender))
      } catch (error) {
        found.delete(contender)
        leave(field, `${what}, ${contender.name}`, error)
      }
    }
  }
  return found
}

/** Something done once by everybody; who fails is left out with the reason. */
export async function once<T>(
  field: Field,
  what: string,
  measure: (contender: Contender) => Promise<T>,
): Promise<Map<Contender, T>> {
  const found = await roundsInTurn({ ...field, rounds: 1 }, what, measure)
  return new Map([...found].flatMap(([contender, [figure]]) => (figure === undefined ? [] : [[contender, figure]])))
}

/** Opens processes in an empty home. */
export async function inNewHome<T>(
  { cluster }: Field,
  contender: Contender,
  { work, ...options }: OpenOptions & { readonly work: (session: Session, home: Home) => Promise<T> },
): Promise<T> {
  await using home = await makeHome(contender.store, cluster)
  await using session = await contender.open(home, options)
  return await work(session, home)
}

export function pick<T>(found: ReadonlyMap<Entrant, readonly T[]>, of: (figure: T) => number): Figures {
  return new Map([...found].map(([contender, figures]) => [contender, figures.map(of)]))
}

/** Peers that bring their database along are held against all of ours. */
const ownStores: ReadonlySet<Store> = new Set(['RocksDB', 'Redis'])

/** A row for each of ours and each peer that it can be held against: those on the same database, or on one of their own. */
export function rowsOf(metric: Metric, figures: Figures): Row[] {
  const rows: Row[] = []
  const peers = [...figures].filter(([{ isOurs }]) => !isOurs)
  for (const [contender, rounds] of figures) {
    if (!contender.isOurs) continue
    const name = `${metric.name}: ${contender.name}`
    const rivals = peers.filter(([{ store }]) => store === contender.store || ownStores.has(store))
    if (rivals.length === 0) rows.push(rowOf(name, { ...metric, rounds }))
    for (const [rival, theirs] of rivals) {
      const peer = { name: rival.name, value: shortened(median(theirs)) }
      const { lowest, highest } = spread(theirs)
      const spans = `peer ${shortened(lowest)}–${shortened(highest)}`
      const note = metric.note === undefined ? spans : `${metric.note}; ${spans}`
      rows.push(rowOf(name, { ...metric, rounds, peer, note }))
    }
  }
  return rows
}

function shortened(value: number): number {
  return Number(value.toFixed(value >= 100 ? 0 : value >= 10 ? 1 : 2))
}

export function leave(field: Pick<Field, 'left'>, what: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error)
  field.left.push(`${what} (${reason.split('\n').slice(0, 2).join(' ')})`)
}
