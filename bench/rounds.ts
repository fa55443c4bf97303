/** Figures of `count` rounds, one after another, with a pause for the garbage of the one before. */
export async function rounds(count: number, measure: () => number | Promise<number>): Promise<number[]> {
  const figures: number[] = []
  for (let round = 0; round < count; round++) {
    globalThis.gc?.()
    figures.push(await measure())
  }
  return figures
}

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The value below which this part of the values lies; between two neighbours it is interpolated. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  const place = (sorted.length - 1) * part
  const below = sorted[Math.floor(place)] ?? NaN
  const above = sorted[Math.ceil(place)] ?? NaN
  return below + (above - below) * (place - Math.floor(place))
}

export function spread(values: readonly number[]): { readonly lowest: number; readonly highest: number } {
  return { lowest: Math.min(...values), highest: Math.max(...values) }
}
