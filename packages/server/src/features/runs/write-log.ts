import type { RunRecord } from '@slipway/engine/run/records'

/** From which record on a concept has had a value, and which record had written it. */
interface Written {
  readonly from: number
  /** Null for what the run began with. */
  readonly by: number | null
}

/** Which record wrote which concept, however often a run went back to an earlier moment. */
export class WriteLog {
  readonly #concepts = new Map<string, Written[]>()
  #until = 0

  /** Takes the records in their order; those that it has had are ignored. */
  note(n: number, record: RunRecord): void {
    if (n <= this.#until) return
    this.#until = n
    if (record.kind === 'command' && record.command.type === 'restore') this.#restore(n, record.command.record)
    else for (const change of record.changes) if (isWrite(change)) this.#add(change.name, { from: n, by: n })
  }

  /** The record that wrote the value that the concept had after record `n`. */
  writerAt(concept: string, n: number): number | null {
    return this.#concepts.get(concept)?.findLast(({ from }) => from <= n)?.by ?? null
  }

  // What was written since counts no more: the values are those of that moment, and so are their writers.
  #restore(n: number, to: number): void {
    for (const concept of this.#concepts.keys()) {
      const by = this.writerAt(concept, to)
      if (by !== this.writerAt(concept, n)) this.#add(concept, { from: n, by })
    }
  }

  #add(concept: string, written: Written): void {
    const known = this.#concepts.get(concept)
    if (known) known.push(written)
    else this.#concepts.set(concept, [written])
  }
}

/** Whether a change gives the concept another value or clears it. */
export function isWrite(change: RunRecord['changes'][number]): boolean {
  return change.reference !== undefined || change.grown !== undefined
}
