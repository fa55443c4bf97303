import { FlowCounters, type ConceptLine, type NcdLine } from './ncd-parse.ts'

/** Writes lines back as plan text; `parseNcd` of it gives the same lines. Ends with a newline. */
export function serializeNcd(lines: readonly NcdLine[]): string {
  const rows: string[] = []
  lines.forEach((line, at) => {
    if (line.type === 'inline_comment') return
    const inline = lines[at + 1]?.type === 'inline_comment' ? lines[at + 1] : undefined
    const text = line.type === 'main' ? line.nc_main : line.nc_comment
    rows.push(indented(line, inline?.type === 'inline_comment' ? `${text} | ${inline.nc_comment}` : text))
    if (line.type === 'main' && line.ncn_content !== undefined) {
      rows.push(indented(line, `|?{natural language}: ${line.ncn_content}`))
    }
  })
  return rows.map(row => `${row}\n`).join('')
}

/**
 * Numbers the concepts anew by their depth: written flow indices are replaced where they stand, and comments follow
 * their concept.
 */
export function regenerateFlowIndices(lines: readonly NcdLine[]): NcdLine[] {
  const counters = new FlowCounters()
  let current: string | null = null
  return lines.map(line => {
    if (line.type === 'main') {
      current = counters.next(line.depth, null)
      return { ...line, flow_index: current }
    }
    const text: string = line.type === 'inline_comment' ? withIndex(line.nc_comment, current) : line.nc_comment
    return { ...line, flow_index: current, nc_comment: text }
  })
}

function withIndex(comment: string, index: string | null): string {
  return index === null ? comment : comment.replace(/(\?\{flow_index\}:\s*)\d+(?:\.\d+)*/, `$1${index}`)
}

function indented(line: Pick<ConceptLine, 'depth'>, text: string): string {
  return `${'    '.repeat(line.depth)}${text}`.trimEnd()
}
