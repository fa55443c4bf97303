/**
 * Values in one JSON body, near enough: each comma, colon and opening bracket outside of texts begins one. Reading them
 * holds everybody else up, for about a microsecond each, so a body with more is refused before it is read.
 */
export const mostJsonValues = 400_000

const [quote, backslash, comma, colon, openList, openObject] = [0x22, 0x5c, 0x2c, 0x3a, 0x5b, 0x7b]

/** Whether the JSON text has more values than a body may have. Long texts count as one value each. */
export function hasTooManyValues(bytes: Uint8Array): boolean {
  if (bytes.length <= mostJsonValues) return false
  let values = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]
    if (byte === quote) at = endOfText(bytes, at)
    else if (byte === comma || byte === colon || byte === openList || byte === openObject) values++
    if (values > mostJsonValues) return true
  }
  return false
}

function endOfText(bytes: Uint8Array, start: number): number {
  let end = bytes.indexOf(quote, start + 1)
  while (end !== -1 && isEscaped(bytes, end)) end = bytes.indexOf(quote, end + 1)
  return end === -1 ? bytes.length : end
}

function isEscaped(bytes: Uint8Array, at: number): boolean {
  let backslashes = 0
  while (bytes[at - 1 - backslashes] === backslash) backslashes++
  return backslashes % 2 === 1
}
