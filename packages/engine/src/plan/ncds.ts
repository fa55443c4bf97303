import { depthOf, FlowCounters, splitMarker, type Marker } from './ncd-parse.ts'

/** One line of a plan's text for display and editing; drafts in natural language and formal plans alike. */
export interface DisplayLine {
  /** The line exactly as it stands in the file. */
  readonly raw: string
  readonly kind: 'concept' | 'comment' | 'blank'
  readonly depth: number
  /** Of a concept; a comment carries that of the concept above it. */
  readonly flowIndex: string | null
  readonly marker: Marker | null
  /** Without marker and trailing comment. */
  readonly text: string
  /** What stands behind `/:` or `|` on the line. */
  readonly comment: string | null
}

const commentLine = /^(?:\/:|\?:|\.\.\.:|\||%)/

/** Reads `.ncds`, `.ncd` or `.pf.ncd` text line by line, leaving nothing out. */
export function parseForDisplay(source: string): DisplayLine[] {
  const counters = new FlowCounters()
  let current: string | null = null
  return source.split('\n').map(raw => {
    const content = raw.trim()
    const depth = depthOf(raw)
    if (content === '') return { raw, kind: 'blank', depth: 0, flowIndex: null, marker: null, text: '', comment: null }
    const { marker, text } = splitMarker(content)
    if (marker === null || commentLine.test(content)) {
      return { raw, kind: 'comment', depth, flowIndex: current, marker: null, text: content, comment: null }
    }
    const { main, comment } = splitComment(text)
    current = counters.next(depth, comment)
    return { raw, kind: 'concept', depth, flowIndex: current, marker, text: main, comment }
  })
}

/** The text that `lines` came from, byte for byte. */
export function serializeDisplay(lines: readonly Pick<DisplayLine, 'raw'>[]): string {
  return lines.map(line => line.raw).join('\n')
}

function splitComment(text: string): { main: string; comment: string | null } {
  const at = text.search(/\||\s\/:/)
  if (at < 0) return { main: text, comment: null }
  return { main: text.slice(0, at).trim(), comment: text.slice(at + 1).trim() }
}
