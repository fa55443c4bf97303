import { makeHome, type Contender, type Home, type OpenOptions, type Session } from './contender.ts'
import type { PostgresCluster } from './postgres-cluster.ts'
import { rowOf, type Row } from './report.ts'
import { median, spread } from './rounds.ts'

/** Everybody who is measured, and what they share. */
export interface Field {
  readonly contenders: readonly Contender[]
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

export type Figures = ReadonlyMap<Contender, readonly number[]>

/**
 * Rounds in which everybody has a turn, so that what else happens on the machine hits all alike. Who fails once is left
 * out with the reason.
 */
export async function roundsInTurn<T>(
  field: Field,
  what: string,
  measure: (contender: Contender) => Promise<T>,
): Promise<Map<Contender, T[]>> {
  const found = new Map<Contender, T[]>(field.contenders.map(contender => [contender, []]))
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

export function pick<T>(found: ReadonlyMap<Contender, readonly T[]>, of: (figure: T) => number): Figures {
  return new Map([...found].map(([contender, figures]) => [contender, figures.map(of)]))
}

/** A row for each of ours and each peer that it can be held against: those on the same database, and Restate. */
export function rowsOf(metric: Metric, figures: Figures): Row[] {
  const rows: Row[] = []
  const peers = [...figures].filter(([{ isOurs }]) => !isOurs)
  for (const [contender, rounds] of figures) {
    if (!contender.isOurs) continue
    const name = `${metric.name}: ${contender.name}`
    const rivals = peers.filter(([{ store }]) => store === contender.store || store === 'RocksDB')
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

export function leave(field: Field, what: string, error: unknown): void {
  const reason = error instanceof Error ? error.message : String(error)
  field.left.push(`${what} (${reason.split('\n').slice(0, 2).join(' ')})`)
}
