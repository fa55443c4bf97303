import { writeFileSync } from 'node:fs'
import { median, spread } from './rounds.ts'

/** One line of a bench's table. `ratio` is above 1 when we are better. */
export interface Row {
  readonly metric: string
  readonly ours: number
  readonly peer: number | null
  readonly peerName: string | null
  readonly ratio: number | null
  readonly unit: string
  readonly note: string
}

export interface Peer {
  readonly name: string
  readonly value: number
}

/** What a bench found. */
export interface Report {
  readonly rows: readonly Row[]
  /** Metrics that could not be measured here, with the reason. */
  readonly left: readonly string[]
  readonly notMeasured: readonly string[]
  /** What has to be known to read the rows: a heading and its lines. */
  readonly stated?: readonly string[]
}

export interface Measured {
  readonly unit: string
  /** One figure per round. */
  readonly rounds: readonly number[]
  readonly better: 'higher' | 'lower'
  readonly peer?: Peer | undefined
  readonly note?: string | undefined
}

/** The row of a metric: the median of its rounds, their spread in the note, and the ratio to the peer. */
export function rowOf(metric: string, { unit, rounds, better, peer, note = '' }: Measured): Row {
  const ours = median(rounds)
  const digits = ours >= 100 ? 0 : ours >= 10 ? 1 : 2
  const { lowest, highest } = spread(rounds)
  const span = `${rounds.length} rounds ${lowest.toFixed(digits)}–${highest.toFixed(digits)}`
  const ratio = peer ? (better === 'higher' ? ours / peer.value : peer.value / ours) : null
  return {
    metric,
    ours: Number(ours.toFixed(digits)),
    peer: peer?.value ?? null,
    peerName: peer?.name ?? null,
    ratio: ratio === null ? null : Number(ratio.toFixed(2)),
    unit,
    note: note === '' ? span : `${note}; ${span}`,
  }
}

export function lineOf({ metric, ours, unit, peer, peerName, ratio }: Row): string {
  return `  ${metric}: ${ours} ${unit}` + (peer === null ? '' : ` (${peerName} ${peer}, ratio ${ratio})`)
}

export function printReport(name: string, { rows, left, notMeasured, stated = [] }: Report): void {
  const cells = rows.map(row => [
    row.metric,
    row.ours.toLocaleString('en'),
    row.unit,
    row.peer?.toLocaleString('en') ?? '–',
    row.peerName ?? '–',
    row.ratio?.toFixed(2) ?? '–',
    row.note,
  ])
  const table = [['metric', 'ours', 'unit', 'peer', 'peer name', 'ratio', 'note'], ...cells]
  const widths = table[0]?.map((_, column) => Math.max(...table.map(line => line[column]?.length ?? 0))) ?? []
  console.log(`\n${name}: ratio is above 1 when we are better`)
  for (const line of table) {
    console.log(line.map((cell, column) => (column === 6 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '))
  }
  for (const reason of left) console.log(`left out: ${reason}`)
  const [heading, ...lines] = stated
  if (heading !== undefined) console.log(`\n${heading}`)
  for (const line of lines) console.log(`  - ${line}`)
  console.log('\nNot measured:')
  for (const line of notMeasured) console.log(`  - ${line}`)
}

export function writeRows(file: string, rows: readonly Row[]): void {
  writeFileSync(file, `${JSON.stringify(rows, null, 2)}\n`)
}
