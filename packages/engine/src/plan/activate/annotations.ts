import type { AttachedConcept } from '../nci.ts'
import type { CommentLine } from '../ncd-parse.ts'

/** The value of the first `| %{key}: value` below a concept, trimmed; an empty value counts as none. */
export function annotation(comments: readonly CommentLine[], key: string): string | null {
  for (const [name, value] of annotationsOf(comments)) if (name === key) return value
  return null
}

/** The value of the first annotation whose key `pattern` matches. */
export function annotationLike(comments: readonly CommentLine[], pattern: RegExp): string | null {
  for (const [name, value] of annotationsOf(comments)) if (pattern.test(name)) return value
  return null
}

/** `[a, b]` or `a` as a list of trimmed, non-empty items; null without the annotation or without items. */
export function annotationList(comments: readonly CommentLine[], key: string): readonly string[] | null {
  const text = annotation(comments, key)
  if (text === null) return null
  const items = splitList(stripOuterBrackets(text))
  return items.length > 0 ? items : null
}

/** The step's own sequence from `?{sequence}: name` in an inline comment. */
export function writtenSequence(comments: readonly CommentLine[]): string | null {
  for (const comment of comments) {
    if (comment.type !== 'inline_comment') continue
    const found = /\?\{sequence\}:\s*([A-Za-z_]\w*)/.exec(comment.nc_comment)
    if (found) return found[1] ?? null
  }
  return null
}

/** Splits at commas and drops what is empty. */
export function splitList(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}

/** `a, b` of `[a, b]`; other text as it is. */
export function stripOuterBrackets(text: string): string {
  return text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text
}

/** The list that follows `prefix` in a step's text, brackets included and balanced: `[[a], [b]]` of `%-[[a], [b]]`. */
export function balancedList(text: string, prefix: string): string | null {
  const start = text.indexOf(`${prefix}[`)
  if (start < 0) return null
  const open = start + prefix.length
  let depth = 0
  for (let at = open; at < text.length; at++) {
    if (text[at] === '[') depth++
    else if (text[at] === ']' && --depth === 0) return text.slice(open, at + 1)
  }
  return null
}

/** A value's name in its own brackets: `{x}`, `<x>`, `[x]`; null for what has no name. */
export function bracketedName(concept: AttachedConcept): string | null {
  const name = concept.concept_name
  if (name === null || name === '') return null
  if (concept.concept_type === 'proposition') return `<${name}>`
  if (concept.concept_type === 'relation') return `[${name}]`
  return `{${name}}`
}

/** How many iterations back a context such as `{x}<$([base])*-1>` comes from; null for others. */
export function carryDistance(context: AttachedConcept): number | null {
  const start = context.nc_main.indexOf('<$(')
  if (start < 0) return null
  const found = /\)\*-(\d+)>/.exec(context.nc_main.slice(start + '<$('.length + 1))
  return found ? Number(found[1]) : null
}

/** The text of a functional concept without its `<=`. */
export function functionText(concept: AttachedConcept): string {
  return concept.nc_main.replace(/^<=\s*/, '').trim()
}

function* annotationsOf(comments: readonly CommentLine[]): Generator<readonly [key: string, value: string]> {
  for (const comment of comments) {
    if (comment.type !== 'comment' || !comment.nc_comment.startsWith('|')) continue
    const text = comment.nc_comment.slice(1).trim()
    const end = text.startsWith('%{') ? text.indexOf('}:') : -1
    const value = text.slice(end + 2).trim()
    if (end >= 0 && value !== '') yield [text.slice(2, end).trim(), value]
  }
}
