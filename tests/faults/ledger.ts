import type { StormPlan } from './storm-plans.ts'
import type { Watcher } from './watcher.ts'

/** What clients did to a run, beside starting it. */
export type Role = 'plain' | 'paused' | 'stopped' | 'overridden' | 'forked'

export type Answered = 'acknowledged' | 'refused' | 'unknown'

/** A run that was asked for, as its clients know it. */
export interface LedgerRun {
  readonly id: string
  readonly plan: StormPlan
  readonly slot: number
  readonly role: Role
  /** Whether the start was acknowledged; of others nobody knows whether they are there. */
  readonly isAcknowledged: boolean
  readonly watcher: Watcher | null
  /** What came of stopping or overriding it. */
  answered: Answered | null
  /** The acknowledged command. */
  commandId: string | null
}

/** Everything that was asked of the servers and what they said to it. */
export class Ledger {
  readonly runs: LedgerRun[] = []
  /** Runs by the idempotency key that they were started with. */
  readonly keys = new Map<string, string>()
  readonly deployed = new Set<string>()
  readonly problems: string[] = []
  readonly counts = new Map<string, number>()

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  /** Answers so far, but for those to people who pause and resume. */
  progress(): number {
    const counted = [...this.counts].filter(([what]) => !/^(pause|resume) /.test(what))
    return counted.reduce((sum, [, count]) => sum + count, 0)
  }

  unfinished(): LedgerRun[] {
    return this.runs.filter(({ watcher }) => watcher !== null && !watcher.isDone())
  }
}
