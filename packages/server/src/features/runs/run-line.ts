import type { Reader } from '#db/database'
import type { RunStates } from './run-states.ts'
import { findRun, type RunRow } from './run-store.ts'

/** Records of one run: behind `after`, up to and with `until`. */
export interface Stretch {
  readonly row: RunRow
  readonly after: number
  readonly until: number
}

// Far more generations of forks than anybody looks back over.
const mostAncestors = 1000

/**
 * The whole history of a run, newest part first: its own records, and those of the runs that it goes on from up to where
 * it was forked. A fork that began again has its own alone.
 */
export async function lineOf(
  row: RunRow,
  { read, states }: { readonly read: Reader; readonly states: RunStates },
): Promise<Stretch[]> {
  const line: Stretch[] = []
  let until = row.records
  for (let run: RunRow | undefined = row; run !== undefined && line.length < mostAncestors;) {
    const { step, isFresh } = await states.beginning(run)
    line.push({ row: run, after: step, until })
    if (run.forked_from === null || isFresh) break
    until = run.forked_at ?? 0
    run = await findRun(read, run.forked_from)
  }
  return line
}

/** Two histories from where they part, oldest part first. */
export interface Parting {
  /** The last record that both have; null when they have nothing in common. */
  readonly common: { readonly runId: string; readonly step: number } | null
  /** The history before that. */
  readonly shared: readonly Stretch[]
  readonly a: readonly Stretch[]
  readonly b: readonly Stretch[]
}

export function partingOf(a: readonly Stretch[], b: readonly Stretch[]): Parting {
  for (const [place, stretch] of a.entries()) {
    const other = b.findIndex(({ row }) => row.id === stretch.row.id)
    const met = b[other]
    if (met === undefined) continue
    const step = Math.min(stretch.until, met.until)
    return {
      common: { runId: stretch.row.id, step },
      shared: [...a.slice(place + 1).toReversed(), { ...stretch, until: step }],
      a: [{ ...stretch, after: step }, ...a.slice(0, place).toReversed()],
      b: [{ ...met, after: step }, ...b.slice(0, other).toReversed()],
    }
  }
  return { common: null, shared: [], a: a.toReversed(), b: b.toReversed() }
}
