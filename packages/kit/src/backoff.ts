export interface Backoff {
  readonly firstMs: number
  readonly ceilingMs: number
}

/**
 * How long to wait before the next attempt, in whole milliseconds, where `failed` have failed (1 or more): doubling,
 * capped, and half of it random, so that what failed together does not come back together. `random` is in [0, 1).
 */
export function delayMs({ firstMs, ceilingMs }: Backoff, failed: number, random: number): number {
  const whole = Math.min(firstMs * 2 ** Math.min(failed - 1, 50), ceilingMs)
  return Math.round(whole / 2 + (whole / 2) * random)
}
