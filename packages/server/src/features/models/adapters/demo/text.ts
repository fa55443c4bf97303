/** Words, sentences and their weights, for any language that has spaces or Han characters. Linear in the text. */

const longestSentence = 600
const mostPassages = 3000
const stopWords = new Set(
  (
    'a an the and or but if then else of in on at to from by with for as is are was were be been being it its this that ' +
    'these those there here he she they we you i his her their our your my me him them us do does did done have has had ' +
    'will would can could should shall may might must not no nor so than too very just only also into over under out up ' +
    'down about after before between through during each any all both more most other some such own same what which who ' +
    'whom whose when now please'
  ).split(' '),
)

const abbreviations = new Set('mr mrs ms dr prof st no fig vs etc approx dept'.split(' '))
const sentenceEnds = new Set(['。', '！', '？', '；'])
const softEnds = new Set(['.', '!', '?'])

/** The sentences of a text: lines without their list marks, cut at full stops of Latin and Chinese writing. */
export function sentencesOf(text: string): string[] {
  return text.split('\n').flatMap(line => {
    const bare = line
      .replace(/^[\s>#*•·-]+/, '')
      .replaceAll('**', '')
      .trim()
    if (bare === '') return []
    return /^[{[]/.test(bare) ? fieldsOf(bare) : cut(bare)
  })
}

function cut(line: string): string[] {
  const found: string[] = []
  let start = 0
  const take = (end: number): void => {
    const sentence = line.slice(start, end).trim()
    if (/[\p{L}\p{N}]/u.test(sentence)) found.push(shorten(sentence))
    start = end
  }
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at)
    const next = line.charAt(at + 1)
    if (
      sentenceEnds.has(char) ||
      (softEnds.has(char) && (next === '' || next === ' ')) ||
      at - start >= longestSentence
    ) {
      if (char === '.' && endsNothing(line.slice(start, at))) continue
      take(at + 1)
    }
  }
  take(line.length)
  return found
}

/** "1.", "e.g." and "Mr." end no sentence. */
function endsNothing(before: string): boolean {
  const word = before.slice(-12).split(/[\s(]/).at(-1) ?? ''
  return before.trim().length < 4 || abbreviations.has(word.toLowerCase()) || /^(?:\p{L}\.)*\p{L}$/u.test(word)
}

/** Data written as JSON or as a Python literal reads as one `key: value` sentence a field. */
function fieldsOf(line: string): string[] {
  return line
    .split(/[,{}[\]]/)
    .map(field => field.replaceAll(/["']/g, '').trim())
    .filter(field => /[\p{L}\p{N}]/u.test(field))
    .map(field => shorten(field))
}

export function shorten(text: string, length = longestSentence): string {
  return text.length > length ? `${text.slice(0, length).trimEnd()}…` : text
}

/** The stems of the words that carry meaning, in order; Han text gives pairs of neighbouring characters. */
export function wordsOf(text: string): string[] {
  return tokensOf(text).map(token => token.stem)
}

export interface Token {
  readonly stem: string
  /** As it was written. */
  readonly word: string
  /** Where it starts. */
  readonly at: number
}

export function tokensOf(text: string): Token[] {
  const found: Token[] = []
  for (const match of text.matchAll(/\p{Script=Han}+|(?:(?!\p{Script=Han})[\p{L}\p{N}])+/gu)) {
    const [run] = match
    if (/^\p{Script=Han}/u.test(run)) found.push(...pairsOf(run, match.index))
    else if (!stopWords.has(run.toLowerCase()))
      found.push({ stem: stem(run.toLowerCase()), word: run, at: match.index })
  }
  return found
}

function pairsOf(run: string, at: number): Token[] {
  const chars = [...run]
  if (chars.length === 1) return [{ stem: run, word: run, at }]
  return chars.slice(1).map((char, index) => {
    const pair = `${chars[index] ?? ''}${char}`
    return { stem: pair, word: pair, at: at + index }
  })
}

function stem(word: string): string {
  if (word.length < 4 || /\d/.test(word)) return word
  const cutWord = word
    .replace(/(?:ies|ied)$/, 'y')
    .replace(/(?<=[a-z]{3})(?:ing|ed|ly|ment|ments)$/, '')
    .replace(/(?<=[a-z]{2}[^s])s$/, '')
  return cutWord.replace(/e$/, '')
}

const negation = /\b(?:not|no|never|none|without|neither|cannot)\b|n't\b|[不没无未]/gi

export function isNegated(sentence: string): boolean {
  return negatedBefore(sentence, null)
}

/** Whether a negation stands before the last of `words` in the sentence, or anywhere in it without words. */
export function negatedBefore(sentence: string, words: ReadonlySet<string> | null): boolean {
  const last = words === null ? sentence.length : lastPlace(sentence, words)
  for (const found of sentence.matchAll(negation)) if (found.index < last) return true
  return false
}

function lastPlace(sentence: string, words: ReadonlySet<string>): number {
  let place = 0
  for (const { stem: key, at } of tokensOf(sentence)) if (words.has(key)) place = at
  return place
}

export interface Passage {
  readonly text: string
  readonly words: ReadonlySet<string>
  /** How well it stands for the whole text: frequent words, early places and middling lengths count. */
  readonly weight: number
  readonly position: number
}

/** The first 3,000 sentences of a text with their weights, in order, without repeats and, if it has more, headings. */
export function passagesOf(text: string): Passage[] {
  const body = sentencesOf(text.replaceAll(/^#{1,6} .*$/gm, ''))
  const sentences = [...new Set(body.length > 0 ? body : sentencesOf(text))].slice(0, mostPassages)
  const words = sentences.map(sentence => wordsOf(sentence))
  const counts = new Map<string, number>()
  for (const word of words.flat()) counts.set(word, (counts.get(word) ?? 0) + 1)
  return sentences.map((sentence, position) => {
    const own = new Set(words[position])
    let weight = 0
    for (const word of own) weight += Math.log(1 + (counts.get(word) ?? 0))
    weight /= Math.sqrt(own.size + 4)
    return { text: sentence, words: own.union(compoundsOf(sentence)), weight: weight + 0.5 / (1 + position), position }
  })
}

/** Short neighbours written as one word, so that "log in" and "set up" are found as "login" and "setup". */
function compoundsOf(sentence: string): Set<string> {
  return new Set(
    [...sentence.matchAll(/\b([a-z]{2,4}) (?=(in|out|up|on|off|down)\b)/gi)].map(([, a = '', b = '']) =>
      stem((a + b).toLowerCase()),
    ),
  )
}

/** The `count` passages that fit a query and the whole text best, in the order of the text. */
export function bestPassages(passages: readonly Passage[], query: ReadonlySet<string>, count: number): Passage[] {
  return passages
    .map(passage => ({ passage, score: passage.weight + 2 * query.intersection(passage.words).size }))
    .sort((a, b) => b.score - a.score || a.passage.position - b.passage.position)
    .slice(0, count)
    .map(({ passage }) => passage)
    .toSorted((a, b) => a.position - b.position)
}

/** The `count` most frequent words as they were written, the longer of equals first. */
export function keyTerms(text: string, count: number): string[] {
  const terms = new Map<string, { word: string; uses: number }>()
  for (const { stem: key, word } of tokensOf(text)) {
    if (/^\d+$/.test(word)) continue
    const term = terms.get(key)
    if (term === undefined) terms.set(key, { word, uses: 1 })
    else term.uses += 1
  }
  return [...terms.values()]
    .toSorted((a, b) => b.uses - a.uses || b.word.length - a.word.length)
    .slice(0, count)
    .map(term => term.word)
}

export function joinSentences(sentences: readonly string[]): string {
  return sentences
    .map(sentence => (/[。！？；]$/.test(sentence) ? sentence : `${sentence} `))
    .join('')
    .trim()
}
