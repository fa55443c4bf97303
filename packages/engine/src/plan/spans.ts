/**
 * What stands between two marks. Plans come from anywhere, and the patterns that would say the same take time that
 * grows with the square of a line's length when the closing mark is missing.
 */

/** From the first `open` to the first `close` after it; null when one of them is missing. */
export function shortestSpan(text: string, open: string, close: string): string | null {
  const start = text.indexOf(open)
  const end = start < 0 ? -1 : text.indexOf(close, start + open.length)
  return end < 0 ? null : text.slice(start + open.length, end)
}

/** From the first `open` to the last `close` after it; null when one of them is missing. */
export function longestSpan(text: string, open: string, close: string): string | null {
  const start = text.indexOf(open)
  const end = start < 0 ? -1 : text.lastIndexOf(close)
  return end < start + open.length ? null : text.slice(start + open.length, end)
}
