import { stripVTControlCharacters } from 'node:util'

/** Text from a server or a plan without anything that would steer the terminal. Line breaks and tabs stay. */
export function plain(text: string): string {
  return stripVTControlCharacters(text.replaceAll('\r\n', '\n')).replace(
    /[\u0000-\u0008\u000B-\u001F\u007F-\u009F\u200E\u200F\u202A-\u202E\u2066-\u2069]/g,
    '',
  )
}

/** The same on one line. */
export function oneLine(text: string): string {
  return plain(text).replace(/\s+/g, ' ').trim()
}

const wide =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1FAFF}\u{20000}-\u{3FFFD}]/u

/** Columns that a text takes: two for East Asian characters, none for combining marks. */
export function displayWidth(text: string): number {
  let width = 0
  for (const character of stripVTControlCharacters(text))
    if (!/\p{M}/u.test(character)) width += wide.test(character) ? 2 : 1
  return width
}

/** Cut to `width` columns with an ellipsis. Only for text without colours. */
export function truncated(text: string, width: number): string {
  if (displayWidth(text) <= width) return text
  let cut = ''
  for (const character of text) {
    if (displayWidth(cut + character) > width - 1) break
    cut += character
  }
  return width > 0 ? `${cut}…` : ''
}

export function padded(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - displayWidth(text)))
}

/** `850 ms`, `1.2 s`, `3:05`, `1:02:03`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}

export function byteCount(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  if (bytes < 1_000_000) return `${(bytes / 1000).toFixed(1)} kB`
  return `${(bytes / 1_000_000).toFixed(1)} MB`
}

export function grouped(value: number): string {
  return value.toLocaleString('en-US')
}

/** `2026-05-06 07:08:09` in local time; the text itself when it is no time. */
export function localTime(iso: string): string {
  const date = new Date(iso)
  return Number.isNaN(date.valueOf()) ? oneLine(iso) : date.toLocaleString('sv-SE')
}

/** Columns aligned below a line of headings. The last column is cut to what the width leaves. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
  options: { width: number },
): string {
  const cells = [headings, ...rows].map(row => row.map(oneLine))
  const widths = headings.map((_, at) => Math.max(...cells.map(row => displayWidth(row[at] ?? ''))))
  const last = headings.length - 1
  const before = widths.slice(0, last).reduce((sum, width) => sum + width + 2, 0)
  return cells
    .map(row =>
      row
        .map((cell, at) =>
          at < last ? padded(cell, (widths[at] ?? 0) + 2) : truncated(cell, Math.max(12, options.width - before)),
        )
        .join('')
        .trimEnd(),
    )
    .join('\n')
}
