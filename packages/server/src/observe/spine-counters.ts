const names = [
  'published',
  'deduplicated',
  'refused',
  'leased',
  'done',
  'failed',
  'lost',
  'returned',
  'dead',
  'cancelled',
  'expired',
  'lateResults',
  'redriven',
  'discarded',
  'messages',
  'scheduled',
  'misfired',
  'readersCut',
  'removed',
] as const

type SpineCountName = (typeof names)[number]
export type SpineCounts = Readonly<Record<SpineCountName, number>>

/** What happens on the Spine, counted without labels, so that no organisation or topic adds a series. */
export class SpineCounters {
  readonly #counts = new Map<SpineCountName, number>(names.map(name => [name, 0]))

  add(name: SpineCountName, more = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + more)
  }

  all(): SpineCounts {
    return Object.fromEntries(this.#counts) as SpineCounts
  }
}
