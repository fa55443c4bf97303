import { readShape, refine, shapeOf, type Entry, type Shape } from './shape.ts'

/** A prompt taken apart: what is to be done, what it is to be done with, and what the answer should look like. */
export interface DemoRequest {
  readonly instruction: string
  readonly material: string
  /** `null`: free text. */
  readonly shape: Shape | null
}

const asks =
  /\b(?:return|respond|reply|output|answer|produce|provide|write|give|format|json)\b|输出|返回|格式|回答|答案/i
const shows = /\b(?:examples?|for instance|e\.g\.|input|given|below is the data)\b|示例|例如|输入/i
const materialLabel =
  /\b(?:inputs?|documents?|texts?|articles?|data|messages?|reports?|contents?|tickets?|notes?|e-?mails?|news|letters?|transcripts?|reviews?|sources?|context|passages?|paragraphs?|requests?|files?|conversation|history|logs?|bundle|facts|findings|claims?|items?)\b|输入|文档|文本|文章|数据|内容|消息|报告|材料|原文|新闻|信号包/i
const taskLabel =
  /\b(?:task|output|format|instructions?|rules?|steps?|questions?|criteria|answer|respon[sd]e?|return|examples?|goal|requirements?|guidelines?|important|critical|how to|options|definitions?|role|json)\b|任务|输出|格式|规则|步骤|问题|要求|说明|示例|提示|标准/i
const closing =
  /^(?:now\b|please\b|return\b|respond\b|reply\b|answer\b|output\b|decide\b|determine\b|请|返回|输出|回答)/i

const limits = { prompt: 120_000, tail: 40_000, reading: 400_000, line: 2000 } as const

/** Takes a prompt apart. `json` says that JSON is wanted even if the prompt does not. Looks at 120,000 characters. */
export function readRequest(prompt: string, { json }: { readonly json: boolean }): DemoRequest {
  const text = clip(prompt)
  const skeleton = findSkeleton(text)
  const rest = skeleton === null ? text : `${text.slice(0, skeleton.start)}\n${text.slice(skeleton.end)}`
  const { instruction, material } = split(rest)
  const shape = skeleton?.shape ?? (json || wantsJson(instruction) ? shapeFromKeys(instruction) : null)
  return { instruction, material, shape: shape === null ? null : withRemarks(shape, instruction) }
}

function clip(prompt: string): string {
  if (prompt.length <= limits.prompt) return prompt
  return `${prompt.slice(0, limits.prompt - limits.tail)}\n${prompt.slice(-limits.tail)}`
}

interface Skeleton {
  readonly shape: Shape
  readonly start: number
  readonly end: number
}

/** The example of the answer: the object or list that is introduced as what to return and looks the least like data. */
function findSkeleton(text: string): Skeleton | null {
  let best: (Skeleton & { readonly score: number }) | null = null
  let read = 0
  const opening = /\{(?=\s{0,20}["'\p{L}_])|\[(?=\s{0,20}["{<])/gu
  for (let found = opening.exec(text); found !== null && read < limits.reading; found = opening.exec(text)) {
    const example = readShape(text, found.index)
    read += example === null ? 100 : Math.max(100, example.end - found.index)
    if (example === null || !isUseful(example.shape)) continue
    opening.lastIndex = Math.max(example.end, found.index + 1)
    const score = skeletonScore(text, found.index, example.end)
    if (score > 0 && (best === null || score > best.score)) {
      best = { shape: example.shape, ...withFence(text, { start: found.index, end: example.end }), score }
    }
  }
  return best
}

function isUseful(shape: Shape): boolean {
  return shape.type === 'object' ? shape.entries.length > 0 : shape.type === 'list' && shape.item.type === 'object'
}

function skeletonScore(text: string, start: number, end: number): number {
  const lead = text
    .slice(Math.max(0, start - 400), start)
    .split('\n')
    .filter(line => line.trim() !== '' && !line.startsWith('```'))
    .slice(-3)
    .join('\n')
  const own = text.slice(start, Math.min(end, start + 2000))
  let score = 0
  if (asks.test(lead)) score += 3
  if (/json/i.test(lead)) score += 1
  if (shows.test(lead)) score -= 2
  if (/<[^>\n]{1,200}>|\.\.\.|…|" ?\| ?"|\w\|\w|\bgoes here\b|\/\/ /.test(own)) score += 2
  return score
}

/** Widens a range over the code fence around it. */
function withFence(
  text: string,
  range: { readonly start: number; readonly end: number },
): { start: number; end: number } {
  const before = text.slice(Math.max(0, range.start - 20), range.start)
  const open = /```\w{0,10}\s*$/.exec(before)
  if (open === null) return range
  const close = text.indexOf('```', range.end)
  return { start: range.start - open[0].length, end: close === -1 ? range.end : close + 3 }
}

function wantsJson(instruction: string): boolean {
  return instruction.split('\n').some(line => /json/i.test(line) && asks.test(line.slice(0, limits.line)))
}

/** The keys that sentences about the JSON name, when no example shows them. */
function shapeFromKeys(instruction: string): Shape {
  const keys = new Set<string>()
  for (const line of instruction.split('\n').map(whole => whole.slice(0, limits.line))) {
    if (!/json|\bkeys?\b|\bfields?\b|\bpropert|键|字段/i.test(line)) continue
    for (const found of line.matchAll(/["'`“]([\p{L}_][\p{L}\p{N}_-]{0,40})["'`”]/gu)) keys.add(found[1] ?? '')
    const bare = /\b(?:keys|fields|properties|key|field|property)\b\s*(?:named|called|are|is)?\s*:?\s*([\w ,-]+)/i.exec(
      line,
    )
    if (keys.size === 0) for (const key of bareKeys(bare?.[1] ?? '')) keys.add(key)
  }
  for (const name of ['json', 'JSON', 'true', 'false']) keys.delete(name)
  if (keys.size === 0) for (const [key] of remarksIn(instruction)) keys.add(key)
  if (keys.size === 0) keys.add('answer')
  return { type: 'object', entries: [...keys].map(key => ({ key, shape: shapeOf(key, { key, quoted: false }) })) }
}

function bareKeys(words: string): string[] {
  const items = words.split(/,|\band\b/).map(item => item.trim())
  return items.filter(item => /^[A-Za-z_]\w{0,40}$/.test(item) && !/^(?:in|of|the|with|only|json|for)$/i.test(item))
}

/** `- "risk": low, medium or high` and the like: what the prompt says about a key. */
function remarksIn(instruction: string): Map<string, string> {
  const remarks = new Map<string, string>()
  for (const line of instruction.split('\n').map(whole => whole.slice(0, limits.line))) {
    for (const [key, remark] of proseRemarks(line)) remarks.set(key, remark)
    const found =
      /^\s*[-*]\s+[*"'`]{0,3}([\p{L}_][\p{L}\p{N}_]{0,40})[*"'`]{0,3}\s*(?:\([^)]{0,40}\))?\s*[:：–—-]\s*(.{1,300})/u.exec(
        line,
      )
    if (found?.[1] !== undefined && !/^(?:true|false|yes|no)$/i.test(found[1])) remarks.set(found[1], found[2] ?? '')
  }
  return remarks
}

/** `where "risk" is low, medium or high`, in running text. */
function proseRemarks(line: string): [key: string, remark: string][] {
  const said =
    /["'`“]([\p{L}_][\p{L}\p{N}_]{0,40})["'`”]\s{1,3}(?:is|are|must be|should be|being|holds|says)\s{1,3}([^.;"'`“”]{1,200})/gu
  return [...line.matchAll(said)].map(found => [found[1] ?? '', found[2] ?? ''])
}

function withRemarks(shape: Shape, instruction: string): Shape {
  if (shape.type !== 'object') return shape
  const remarks = remarksIn(instruction)
  const refined = (entry: Entry): Entry => {
    const remark = remarks.get(entry.key)
    return remark === undefined ? entry : { ...entry, shape: refine(entry.shape, remark) }
  }
  return { type: 'object', entries: shape.entries.map(refined) }
}

function split(text: string): { instruction: string; material: string } {
  const splitter = new Splitter(text)
  for (const line of text.split('\n')) splitter.take(line)
  const material = splitter.material.join('\n').trim()
  const instruction = splitter.instruction.join('\n').trim()
  return material === '' ? { instruction, material: unlabelled(instruction) } : { instruction, material }
}

/** Tells line by line what is instruction and what the text to work on: by headings, labels, tags, fences, quotes. */
class Splitter {
  readonly instruction: string[] = []
  readonly material: string[] = []
  readonly #closes: (mark: string) => boolean
  #current: 'instruction' | 'material' = 'instruction'
  #examples = false
  #block: { readonly until: string; readonly into: string[] } | null = null

  constructor(text: string) {
    this.#closes = closingMarks(text)
  }

  take(line: string): void {
    if (this.#block !== null) return this.#takeBlock(this.#block, line)
    const opened = blockAt(line)
    if (opened !== null && this.#closes(opened.until)) {
      const block = { until: opened.until, into: this.#examples ? this.instruction : this.material }
      return this.#takeBlock(block, opened.rest)
    }
    const label = labelOf(line)
    if (label?.heading === true) this.#examples = /example|示例/i.test(label.name)
    this.#current = sectionOf(line, { label: label?.name ?? null, current: this.#current })
    if (this.#current === 'material') this.material.push(withoutLabel(line, label))
    else this.instruction.push(line)
  }

  #takeBlock(block: { readonly until: string; readonly into: string[] }, line: string): void {
    const closed = line.indexOf(block.until)
    block.into.push(closed === -1 ? line : line.slice(0, closed))
    this.#block = closed === -1 ? block : null
  }
}

function withoutLabel(line: string, label: Label | null): string {
  return label !== null && materialLabel.test(label.name) ? label.rest : line
}

/** Whether a closing mark occurs, looked for once a mark: a prompt may open the same one very often. */
function closingMarks(text: string): (mark: string) => boolean {
  const known = new Map<string, boolean>([['```', true]])
  return mark => {
    const found = known.get(mark) ?? (known.size < 50 && text.includes(mark))
    known.set(mark, found)
    return found
  }
}

interface Opened {
  readonly until: string
  readonly rest: string
}

function blockAt(line: string): Opened | null {
  const tag = /^\s*<([A-Za-z_][\w-]{0,40})(?:\s[^<>]{0,200})?>(.*)$/.exec(line)
  if (tag?.[1] !== undefined) return { until: `</${tag[1]}>`, rest: tag[2] ?? '' }
  const trimmed = line.trim()
  if (trimmed.startsWith('"""')) return { until: '"""', rest: trimmed.slice(3) }
  return trimmed.startsWith('```') ? { until: '```', rest: '' } : null
}

interface Label {
  readonly heading: boolean
  readonly name: string
  /** What stands behind the label on its line. */
  readonly rest: string
}

function labelOf(line: string): Label | null {
  const heading = /^#{1,6}\s+(.{1,120})$/.exec(line)
  if (heading?.[1] !== undefined) return { heading: true, name: heading[1], rest: '' }
  const label = /^\s*\*{0,2}([\p{L}][\p{L}\p{N} '()/_-]{0,60}?)\*{0,2}\s?[:：]\*{0,2}(?:\s+(.*))?$/u.exec(line)
  return label?.[1] === undefined ? null : { heading: false, name: label[1], rest: label[2] ?? '' }
}

function sectionOf(
  line: string,
  { label, current }: { readonly label: string | null; readonly current: 'instruction' | 'material' },
): 'instruction' | 'material' {
  if (label !== null) {
    if (taskLabel.test(label)) return 'instruction'
    return materialLabel.test(label) ? 'material' : current
  }
  if (current === 'material' && closing.test(line) && asks.test(line)) return 'instruction'
  return current
}

/** The text to work on when nothing marks it: every paragraph that does not speak to the model. */
function unlabelled(instruction: string): string {
  const spoken = /\b(?:you are|your task|you will|json)\b|你是/i
  const paragraphs = instruction
    .split(/\n\s*\n/)
    .filter(text => !spoken.test(text) && !asks.test(text.slice(0, 200)) && !/^#/.test(text))
  const found = paragraphs.join('\n\n')
  return found === '' ? instruction : found
}
