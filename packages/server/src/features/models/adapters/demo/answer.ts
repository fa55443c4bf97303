import { unreachable } from '@slipway/kit/unreachable'
import { aboutWords, Instruction } from './instruction.ts'
import type { DemoRequest } from './request.ts'
import type { Entry, Shape } from './shape.ts'
import {
  bestPassages,
  joinSentences,
  keyTerms,
  negatedBefore,
  passagesOf,
  sentencesOf,
  shorten,
  wordsOf,
  type Passage,
} from './text.ts'

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

const thoughts = /^(?:thinking|thoughts?|reasoning|reasons?|rationale|explanation|justification|思考|理由|推理)$/i
const titles = /^(?:title|headline|subject|heading|标题)$/i
const terms = /\b(?:keywords?|topics?|tags?|themes?|terms?|entities|entity|labels?)\b|关键词|主题|标签/i
const scripts = /^(?:code|script|python|代码)$/i
const indifferent = /^(?:other|unknown|none|neutral|normal|medium|unclear|mixed|其他|未知|中性)$/i
const sure = /confiden|certain|probab|置信|信心/i
const good = new Set(
  wordsOf(
    'good great gain gains growth rise rises success improve improved strong positive complete 上涨 增长 改善 成功',
  ),
)
const bad = new Set(
  wordsOf('bad poor loss losses fall falls fail failure problem wrong weak negative risk broken 下跌 下降 失败 问题'),
)

/** Fills shapes from one request. It finds and counts; it understands nothing, and says so. */
export class Filler {
  readonly #instruction: Instruction
  readonly #material: string
  readonly #passages: readonly Passage[]
  readonly #everything: ReadonlySet<string>
  readonly #evidence: string[] = []

  constructor(instruction: Instruction, material: string) {
    this.#instruction = instruction
    this.#material = material
    this.#passages = passagesOf(material)
    this.#everything = new Set(this.#passages.flatMap(passage => [...passage.words]))
  }

  fill(shape: Shape, key: string): Json {
    switch (shape.type) {
      case 'fixed':
        return shape.value
      case 'boolean':
        return this.#judge(`${key} ${shape.hint}`)
      case 'choice':
        return this.#choose(shape.options)
      case 'number':
        return this.#measure(shape, key)
      case 'list':
        return this.#list(shape, key)
      case 'object':
        return this.#object(shape.entries)
      case 'text':
        return this.#text(shape.hint, key)
      default:
        return unreachable(shape)
    }
  }

  /** A few sentences that stand for the whole. */
  summary(count: number): string {
    return joinSentences(bestPassages(this.#passages, this.#instruction.words, count).map(passage => passage.text))
  }

  /** The single word that was asked for, `null` if more than a word was. */
  bareWord(): string | null {
    const order = this.#instruction.wordOrder
    if (order === null) return null
    if (order.type === 'choice') return this.#choose(order.options)
    return this.#judge('') ? order.whenTrue : order.whenFalse
  }

  /** What explains the other values is filled last and put in its own place. */
  #object(entries: readonly Entry[]): Json {
    const explains = (entry: Entry): boolean => entry.shape.type === 'text' && thoughts.test(entry.key)
    const values = new Map<string, Json>()
    for (const entry of entries) if (!explains(entry)) values.set(entry.key, this.fill(entry.shape, entry.key))
    return Object.fromEntries(
      entries.map(({ key }) => [key, values.has(key) ? (values.get(key) ?? null) : this.#why()]),
    )
  }

  #why(): string {
    return this.#evidence.length === 0
      ? 'Chosen by counting words; the text gave no evidence.'
      : `Chosen by counting words. Evidence: ${[...new Set(this.#evidence)].slice(0, 3).join(' | ')}`
  }

  #text(hint: string, key: string): string {
    if (thoughts.test(key)) return this.#why()
    if (scripts.test(key)) return "raise NotImplementedError('the slipway demo model can not write code')"
    if (titles.test(key)) return shorten(sentencesOf(this.#material)[0] ?? '', 100)
    const found = bestPassages(this.#passages, this.#about(`${key} ${hint}`), sentenceCount(`${key} ${hint}`))
    this.#remember(found[0])
    return joinSentences(found.map(passage => passage.text))
  }

  #list(shape: Shape & { type: 'list' }, key: string): Json {
    const words = `${key.replaceAll('_', ' ')} ${shape.hint} ${'hint' in shape.item ? shape.item.hint : ''}`
    const count = countIn(words) ?? Math.min(5, Math.max(1, Math.ceil(this.#passages.length / 3)))
    const { item } = shape
    if (item.type === 'text' && terms.test(words)) return keyTerms(this.#material, Math.max(count, 3))
    if (item.type === 'choice') return item.options.filter(option => this.#optionScore(option, item.options) > 0)
    const found = bestPassages(this.#passages, this.#about(words), count)
    this.#remember(found[0])
    if (item.type === 'text') return found.map(passage => passage.text)
    return found.map(passage => new Filler(this.#instruction, passage.text).fill(item, key))
  }

  #judge(remark: string): boolean {
    const { whenTrue, whenFalse } = this.#instruction.truth(remark)
    const forTrue = this.#share(whenTrue.difference(whenFalse))
    const forFalse = this.#share(whenFalse.difference(whenTrue))
    if (whenTrue.size > 0 && whenFalse.size > 0 && forTrue !== forFalse) {
      this.#remember(bestPassages(this.#passages, forTrue > forFalse ? whenTrue : whenFalse, 1)[0])
      return forTrue > forFalse
    }
    const { question } = this.#instruction
    if (question.words.size > 0 && this.#confirms(question)) return true
    const last = [...whenTrue].at(-1) ?? null
    return whenTrue.size > 0 && this.#confirms({ words: whenTrue, last, negated: false })
  }

  /** How much of a clause the text has; a long clause needs more hits than a short one, but not in proportion. */
  #share(clause: ReadonlySet<string>): number {
    return clause.intersection(this.#everything).size / Math.sqrt(clause.size + 1)
  }

  /** Whether one sentence says most of what was asked; its last word counts twice, a negation before it turns it. */
  #confirms(question: Instruction['question']): boolean {
    const total = question.words.size + 1
    const share = (words: ReadonlySet<string>): number =>
      (question.words.intersection(words).size + (question.last !== null && words.has(question.last) ? 1 : 0)) / total
    let best: Passage | undefined
    for (const passage of this.#passages) {
      if (best === undefined || share(passage.words) > share(best.words)) best = passage
    }
    if (best === undefined || share(best.words) <= 0.5) return false
    this.#remember(best)
    return negatedBefore(best.text, question.words) === question.negated
  }

  #choose(options: readonly string[]): string {
    const scores = options.map(option => this.#optionScore(option, options))
    const most = Math.max(...scores)
    const fallback = options.find(option => indifferent.test(option)) ?? options.at(-1)
    const winner = (most > 0 ? options[scores.indexOf(most)] : fallback) ?? ''
    if (most > 0) this.#remember(bestPassages(this.#passages, this.#instruction.optionWords(winner, options), 1)[0])
    return winner
  }

  #optionScore(option: string, options: readonly string[]): number {
    const own = new Set(wordsOf(option))
    let score = 0
    for (const passage of this.#passages) {
      if (own.size > 0 && own.isSubsetOf(passage.words)) score += negatedBefore(passage.text, own) ? -1 : 3
    }
    return score + 2 * this.#instruction.optionWords(option, options).intersection(this.#everything).size
  }

  #measure(shape: Shape & { type: 'number' }, key: string): number {
    if (shape.min !== null && shape.max !== null) {
      // There is no confidence in counting words: the middle says so.
      const share = sure.test(key) ? 0.5 : (1 + this.#mood()) / 2
      return Math.round((shape.min + (shape.max - shape.min) * share) * 100) / 100
    }
    const query = aboutWords(`${key.replaceAll('_', ' ')} ${shape.hint}`)
    const numbered = this.#passages.filter(passage => /\d/.test(passage.text))
    const [best] = numbered.toSorted(
      (a, b) => query.intersection(b.words).size - query.intersection(a.words).size || a.position - b.position,
    )
    this.#remember(best)
    const found = /-?\d[\d,]*(?:\.\d+)?/.exec(best?.text ?? '')
    const value = Number((found?.[0] ?? '0').replaceAll(',', ''))
    return Number.isFinite(value) ? value : 0
  }

  /** From -1 to 1: more bad words than good ones, or the other way round. */
  #mood(): number {
    const up = good.intersection(this.#everything).size
    const down = bad.intersection(this.#everything).size
    return up === down ? 0 : (up - down) / (up + down)
  }

  #about(words: string): Set<string> {
    return aboutWords(words).union(this.#instruction.words)
  }

  #remember(found: Passage | undefined): void {
    if (found !== undefined) this.#evidence.push(shorten(found.text, 200))
  }
}

export function fillerOf(request: DemoRequest): Filler {
  return new Filler(new Instruction(request.instruction), request.material)
}

function sentenceCount(hint: string): number {
  if (/\b(?:one|single|short|brief)\b|一句/i.test(hint)) return 1
  return /\b(?:paragraph|report|detailed)\b|段|报告/i.test(hint) ? 4 : 2
}

/** Number of items that words such as "up to 3" or "five" ask for. */
function countIn(words: string): number | null {
  const named = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten']
  const said = words.toLowerCase().split(/[^a-z0-9]+/)
  const figure = said.find(word => /^\d{1,2}$/.test(word))
  const count = figure === undefined ? named.findIndex(name => said.includes(name)) + 1 : Number(figure)
  return count >= 1 && count <= 20 ? count : null
}
