/** Python's `str.strip()`. Unlike `trim` it takes the separators U+001C to U+001F and U+0085, and leaves U+FEFF. */
export function strip(text: string): string {
  let start = 0
  let end = text.length
  while (start < end && isSpace(text.charCodeAt(start))) start++
  while (end > start && isSpace(text.charCodeAt(end - 1))) end--
  return text.slice(start, end)
}

/** Python's `str.isspace()` of one character. */
export function isSpace(code: number): boolean {
  if (code < 0x80) return code === 0x20 || (code >= 0x09 && code <= 0x0d) || (code >= 0x1c && code <= 0x1f)
  return (
    code === 0x85 || code === 0xa0 || code === 0x1680 || (code >= 0x2000 && code <= 0x200a) || OTHER_SPACES.has(code)
  )
}

const OTHER_SPACES = new Set([0x2028, 0x2029, 0x202f, 0x205f, 0x3000])
