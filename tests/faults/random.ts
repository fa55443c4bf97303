/** Reproducible chance: the same seed gives the same numbers. */
export interface Random {
  readonly seed: number
  /** From 0 up to, but not including, 1. */
  next(): number
  /** A whole number, both ends included. */
  between(least: number, most: number): number
  pick<T>(items: readonly T[]): T
  /** True with this probability. */
  chance(probability: number): boolean
}

/** Begins at `seed`, at SLIPWAY_FAULT_SEED where that is set, or somewhere new each time, and says where. */
export function openRandom(about: string, seed: number = givenSeed()): Random {
  console.log(`${about}: SLIPWAY_FAULT_SEED=${seed}`)
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    seed,
    next,
    between: (least, most) => least + Math.floor(next() * (most - least + 1)),
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new Error('There is nothing to pick from.')
      return items[Math.floor(next() * items.length)] as T
    },
    chance: probability => next() < probability,
  }
}

function givenSeed(): number {
  const given = Number(process.env['SLIPWAY_FAULT_SEED'] ?? '')
  return given > 0 ? given : 1 + Math.floor(Math.random() * 2 ** 31)
}
