import type { ErrorCode } from '@slipway/protocol/errors'

const names = ['connections', 'frames', 'published', 'delivered', 'checked', 'cut', 'workersReplaced'] as const

type ShieldCountName = (typeof names)[number]

export interface ShieldCounts extends Readonly<Record<ShieldCountName, number>> {
  /** Refusals by their code. */
  readonly refused: Readonly<Partial<Record<ErrorCode, number>>>
}

/** What happens at the edge of the bus, counted by nothing that grows with organisations, topics or clients. */
export class ShieldCounters {
  readonly #counts = new Map<ShieldCountName, number>(names.map(name => [name, 0]))
  readonly #refused = new Map<ErrorCode, number>()

  add(name: ShieldCountName): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1)
  }

  refuse(code: ErrorCode): void {
    this.#refused.set(code, (this.#refused.get(code) ?? 0) + 1)
  }

  all(): ShieldCounts {
    const counts = Object.fromEntries(this.#counts) as Record<ShieldCountName, number>
    return { ...counts, refused: Object.fromEntries(this.#refused) }
  }
}
