import { shortestSpan } from './spans.ts'

/** One concept of a plan's text, with what its notation says about it. The key order is that of the interchange files. */
export interface ConceptLine {
  readonly flow_index: string
  readonly type: 'main'
  /** Indentation level: four blanks are one level. */
  readonly depth: number
  /** The concept as written, marker included, inline comments excluded. */
  readonly nc_main: string
  readonly inference_marker: Marker | null
  readonly concept_type: ConceptType
  readonly operator_type: OperatorType | null
  readonly concept_name: string | null
  readonly warnings?: readonly string[]
  /** The natural-language rendering from a `|?{natural language}:` line. */
  readonly ncn_content?: string
}

/** A comment or annotation; it belongs to the concept whose flow index it carries, or to none before the first. */
export interface CommentLine {
  readonly flow_index: string | null
  readonly type: 'comment' | 'inline_comment'
  readonly depth: number
  readonly nc_comment: string
}

export type NcdLine = ConceptLine | CommentLine

export type Marker = ':<:' | ':>:' | '<=' | '<-' | '<*'

export type ConceptType =
  'operator' | 'imperative' | 'judgement' | 'subject' | 'proposition' | 'relation' | 'object' | 'comment' | 'informal'

export type OperatorType =
  | 'identity'
  | 'abstraction'
  | 'specification'
  | 'continuation'
  | 'selection'
  | 'nominalization'
  | 'grouping'
  | 'timing_conditional'
  | 'timing_completion'
  | 'timing_action'
  | 'looping'

export interface Classified {
  readonly concept_type: ConceptType
  readonly operator_type: OperatorType | null
  readonly concept_name: string | null
  readonly warnings: readonly string[]
}

const markers: readonly Marker[] = [':<:', ':>:', '<=', '<-', '<*']
const bareStarts = ['$%', '$.', '*.', '$+', '&[', '@:', '::']
const commentStarts = ['?{', '%{', '/:', '?:', '...:', '|']
const naturalLanguage = /^\|\?\{natural language\}:\s*(.*)$/
const explicitIndex = /\?\{flow_index\}:\s*(\d+(?:\.\d+)*)/

const operators: readonly (readonly [prefix: string, type: OperatorType])[] = [
  ['$=', 'identity'],
  ['$%', 'abstraction'],
  ['$.', 'specification'],
  ['$+', 'continuation'],
  ['$-', 'selection'],
  ['$::', 'nominalization'],
  ['&[{}]', 'grouping'],
  ['&[#]', 'grouping'],
  ["@:'", 'timing_conditional'],
  ['@:!', 'timing_conditional'],
  ['@::', 'timing_action'],
  ['@.', 'timing_completion'],
  ['*.', 'looping'],
]

/** Reads the text of a formal plan (`.ncd`, `.pf.ncd`) into concept and comment lines in file order. */
export function parseNcd(source: string): NcdLine[] {
  const lines: NcdLine[] = []
  const counters = new FlowCounters()
  let current: string | null = null
  for (const raw of source.split(/\r\n|\r|\n/)) {
    const content = raw.trim()
    if (content === '') continue
    const depth = depthOf(raw)
    const rendering = naturalLanguage.exec(content)
    if (rendering) {
      attachRendering(lines, rendering[1] ?? '')
      continue
    }
    const { main, inline } = splitInline(content)
    if (isConcept(main)) {
      current = counters.next(depth, inline)
      lines.push(conceptLine(main, { flowIndex: current, depth }))
      if (inline) lines.push(commentLine('inline_comment', { flowIndex: current, depth, text: inline }))
    } else if (main === '' && inline !== null) {
      lines.push(commentLine('comment', { flowIndex: current, depth, text: `| ${inline}`.trimEnd() }))
    } else {
      lines.push(commentLine('comment', { flowIndex: current, depth, text: main }))
      if (inline) lines.push(commentLine('inline_comment', { flowIndex: current, depth, text: inline }))
    }
  }
  return lines
}

/** What the text after the marker is: an operator, a step, or a value with its brackets. */
export function classifyConcept(text: string, marker: Marker | null): Classified {
  const operator = operators.find(([prefix]) => text.startsWith(prefix))
  if (operator) return plain('operator', null, operator[1])
  if (text.startsWith('::')) {
    const judges = /^::\([^)]*\)\s*</.test(text) || text.includes('::<{')
    const name = shortestSpan(text, '(', ')')
    if (name === null && text.includes('(')) return informal(text, 'Unclosed step: no )')
    return plain(judges ? 'judgement' : 'imperative', name)
  }
  const subject = /^:([A-Za-z_][\w ]*):/.exec(text)
  if (subject) return plain('subject', subject[1] ?? null)
  const bracketed = bracketedValue(text)
  if (bracketed) return bracketed
  if (commentStarts.some(start => text.startsWith(start))) return plain('comment', null)
  return informal(text, `Unrecognized concept format after ${marker ?? 'nothing'}`)
}

/** The marker a concept line starts with, and what follows it. */
export function splitMarker(main: string): { readonly marker: Marker | null; readonly text: string } {
  const marker = markers.find(candidate => main.startsWith(candidate)) ?? null
  return { marker, text: main.slice(marker?.length ?? 0).trim() }
}

// Far beyond what people indent; it keeps a hostile line from asking for millions of counters.
const deepestLevel = 99

/** Indentation level of a source line: four blanks each, rounded down. */
export function depthOf(raw: string): number {
  return Math.min(deepestLevel, Math.floor((raw.length - raw.trimStart().length) / 4))
}

/** Hands out dotted flow indices by depth; an index written in the text sets the counters. */
export class FlowCounters {
  #stack: number[] = []

  next(depth: number, inline: string | null): string {
    const written = inline === null ? undefined : explicitIndex.exec(inline)?.[1]
    if (written !== undefined) {
      this.#stack = written.split('.').map(Number)
      return written
    }
    const stack = Array.from({ length: depth + 1 }, (_, level) => this.#stack[level] ?? 0)
    stack[depth] = (stack[depth] ?? 0) + 1
    this.#stack = stack
    return stack.join('.')
  }
}

function splitInline(content: string): { main: string; inline: string | null } {
  const bar = content.startsWith('|?{') ? -1 : content.indexOf('|')
  if (bar < 0) return { main: content, inline: null }
  return { main: content.slice(0, bar).trim(), inline: content.slice(bar + 1).trim() }
}

function isConcept(main: string): boolean {
  return markers.some(start => main.startsWith(start)) || bareStarts.some(start => main.startsWith(start))
}

function conceptLine(main: string, at: { flowIndex: string; depth: number }): ConceptLine {
  const { marker, text } = splitMarker(main)
  const { warnings, ...kind } = classifyConcept(text, marker)
  return {
    flow_index: at.flowIndex,
    type: 'main',
    depth: at.depth,
    nc_main: main,
    inference_marker: marker,
    ...kind,
    ...(warnings.length > 0 ? { warnings } : {}),
  }
}

function commentLine(
  type: CommentLine['type'],
  { flowIndex, depth, text }: { flowIndex: string | null; depth: number; text: string },
): CommentLine {
  return { flow_index: flowIndex, type, depth, nc_comment: text }
}

// A rendering belongs to the concept directly above it, with at most that concept's inline comment between.
function attachRendering(lines: NcdLine[], text: string): void {
  const last = lines.length - 1
  const at = lines[last]?.type === 'inline_comment' ? last - 1 : last
  const concept = lines[at]
  if (concept?.type === 'main') lines[at] = { ...concept, ncn_content: text }
}

function bracketedValue(text: string): Classified | null {
  if (text.startsWith('<')) {
    if (['<$', '<:', '<=', '<-', '<*'].some(start => text.startsWith(start))) return null
    return upTo('>', { text, type: 'proposition' })
  }
  if (text.startsWith('[')) return upTo(']', { text, type: 'relation' })
  if (text.startsWith('{')) return upTo('}', { text, type: 'object' })
  return null
}

function upTo(close: string, { text, type }: { text: string; type: ConceptType }): Classified {
  const end = text.indexOf(close)
  return end < 0 ? informal(text, `Unclosed ${type}: no ${close}`) : plain(type, text.slice(1, end))
}

function plain(type: ConceptType, name: string | null, operator: OperatorType | null = null): Classified {
  return { concept_type: type, operator_type: operator, concept_name: name, warnings: [] }
}

function informal(text: string, warning: string): Classified {
  const name = text.split(/\s+/)[0] ?? ''
  return { concept_type: 'informal', operator_type: null, concept_name: name, warnings: [warning] }
}
