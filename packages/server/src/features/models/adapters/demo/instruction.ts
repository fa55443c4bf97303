import { optionsIn } from './shape.ts'
import { isNegated, sentencesOf, wordsOf } from './text.ts'

/** The words that a question is about. `last` is the word it ends with, which mostly is what is asked. */
export interface Question {
  readonly words: ReadonlySet<string>
  readonly last: string | null
  readonly negated: boolean
}

export type WordOrder =
  | { readonly type: 'truth'; readonly whenTrue: string; readonly whenFalse: string }
  | { readonly type: 'choice'; readonly options: readonly string[] }

const longestLine = 1000
const mostLines = 500

const questionLead =
  /^(?:is|are|was|were|does|do|did|has|have|can|should|determine|decide|judge|check|evaluate|assess|verify|tell)\b|whether|[?？]|是否|判断|评估/i
const ordering = /\b(?:return|respond|reply|answer|output)\b|返回|回答|输出/i
const terse = /\b(?:only|just|single|one|exactly)\b|只|仅/i
const truthMark =
  /\b(true|yes|false|no)\b[`"'*]{0,3}\s{0,3}(?:[:：–-]|\bif\b|\bwhen\b|\bfor\b|\bwhere\b)|(?:返回|回答)[`"'*]{0,3}(true|false)/gi

/** Words of the request itself, which say nothing about the text it is about. */
const requestWords = new Set(
  wordsOf(
    'true false yes no boolean return answer respond output json object key field value result document text input data ' +
      'following given determine decide judge check evaluate assess verify tell whether question based only one otherwise ' +
      'indicates mentions contains includes reports describes says states shows 返回 回答 输出 是否 判断 评估 提到 结果 否则 文档',
  ),
)

export function aboutWords(text: string): Set<string> {
  return new Set(wordsOf(text)).difference(requestWords)
}

/** What an instruction asks, worked out once a prompt. Looks at its first 500 lines, 1,000 characters of each. */
export class Instruction {
  /** All words that are about the matter. */
  readonly words: ReadonlySet<string>
  readonly question: Question
  readonly wordOrder: WordOrder | null
  readonly #lines: readonly { readonly text: string; readonly words: ReadonlySet<string> }[]

  constructor(text: string) {
    const lines = text
      .split(/\n|(?<=[.;。；])\s/)
      .slice(0, mostLines)
      .map(line => line.slice(0, longestLine))
    this.#lines = lines.map(line => ({ text: line, words: new Set(wordsOf(line)) }))
    this.words = aboutWords(lines.join('\n'))
    this.question = questionOf(lines)
    this.wordOrder = wordOrderOf(lines)
  }

  /** The words that explain an option: those of the lines that name it and none of the others. */
  optionWords(option: string, options: readonly string[]): ReadonlySet<string> {
    const wanted = new Set(wordsOf(option))
    if (wanted.size === 0) return wanted
    const others = options.filter(other => other !== option).map(other => new Set(wordsOf(other)))
    const lines = this.#lines.filter(
      line => wanted.isSubsetOf(line.words) && !others.some(other => other.size > 0 && other.isSubsetOf(line.words)),
    )
    return aboutWords(lines.map(line => line.text).join(' '))
  }

  /** What the instruction, and a remark on the value itself, say that true and false stand for. */
  truth(remark: string): { readonly whenTrue: ReadonlySet<string>; readonly whenFalse: ReadonlySet<string> } {
    const sides = { true: [] as string[], false: [] as string[] }
    let open: keyof typeof sides | null = null
    for (const line of [...this.#lines.map(known => known.text), remark]) {
      const marks = [...line.matchAll(truthMark)]
      if (marks.length === 0) {
        // "Return true if:" goes on in the list under it, up to the next chapter.
        if (/^#{1,2}\s/.test(line)) open = null
        else if (open !== null && /^\s*[-*•\d]/.test(line)) sides[open].push(line)
      }
      for (const [at, mark] of marks.entries()) {
        open = /true|yes/i.test(mark[1] ?? mark[2] ?? '') ? 'true' : 'false'
        sides[open].push(line.slice(mark.index + mark[0].length, marks[at + 1]?.index))
      }
    }
    return { whenTrue: aboutWords(sides.true.join(' ')), whenFalse: aboutWords(sides.false.join(' ')) }
  }
}

function questionOf(lines: readonly string[]): Question {
  for (const sentence of sentencesOf(lines.join('\n'))) {
    if (!questionLead.test(sentence)) continue
    const asked = sentence.replace(/^.{0,80}?(?:\bwhether\b|是否)/i, '').replace(/\([^()]{0,200}\)/g, '')
    const words = aboutWords(asked)
    if (words.size > 0) return { words, last: [...words].at(-1) ?? null, negated: isNegated(asked) }
  }
  return { words: new Set(), last: null, negated: false }
}

/** The order to answer with one word, as in "Answer only yes or no" or "Reply with one of: low, high". */
function wordOrderOf(lines: readonly string[]): WordOrder | null {
  for (const line of lines) {
    if (!ordering.test(line)) continue
    const truth = /\b(true|yes)\b[^.]{1,20}?\b(false|no)\b/i.exec(line)
    if (truth !== null) return { type: 'truth', whenTrue: truth[1] ?? 'true', whenFalse: truth[2] ?? 'false' }
    if (/\bboolean\b|布尔/i.test(line)) return { type: 'truth', whenTrue: 'true', whenFalse: 'false' }
    const options = terse.test(line) ? optionsIn(line) : []
    if (options.length > 1) return { type: 'choice', options }
  }
  return null
}
