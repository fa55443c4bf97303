const longest = 500

/** Shapes of keys that providers repeat in their messages, cut short or whole. */
const keyShapes = [/\b(?:sk|pk|rk|key)-[\w*.-]{4,}/gi, /\bbearer\s+[\w.~+/=*-]+/gi]

/** A provider's own words, fit for an error: the key and what looks like one replaced, one line, 500 characters. */
export function redact(text: string, apiKey: string | null): string {
  let clean = text.slice(0, 20 * longest)
  if (apiKey !== null && apiKey !== '') clean = clean.replaceAll(apiKey, '[key]')
  for (const shape of keyShapes) clean = clean.replace(shape, '[key]')
  clean = clean.replace(/\s+/g, ' ').trim()
  return clean.length > longest ? `${clean.slice(0, longest)}…` : clean
}
