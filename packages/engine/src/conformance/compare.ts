import { str } from '#value/python-repr'
import { isList, PyDict, type Value } from '#value/value'
import { canonicalText, normalValue, type NormalForm } from './normal-form.ts'

export type Level =
  | 'A final values'
  | 'B statuses'
  | 'C completion order'
  | 'D trace'
  | 'prompts'
  | 'script calls'
  | 'people'
  | 'counts'
  | 'truth masks'
  | 'errors'
  | 'references'
  | 'files'

export interface LevelResult {
  readonly level: Level
  readonly ok: boolean
  /** The first difference, in one line. */
  readonly difference: string | null
}

export interface CompareOptions extends NormalForm {
  readonly golden: PyDict
  readonly recorded: PyDict
  /** The text of a file below the run's folder; null when there is none. */
  readonly readFile: (path: string) => string | null
  /** Every text that was written by the run. */
  readonly written: readonly string[]
}

/** Which parts of a recorded result each level looks at. A part that the recorded result lacks is not looked at. */
const LEVELS: readonly (readonly [Level, readonly string[]])[] = [
  ['A final values', ['final']],
  ['B statuses', ['item_statuses', 'item_completion_details', 'concept_statuses']],
  ['D trace', ['trace', 'cycles', 'tracker']],
  ['counts', ['item_execution_counts', 'item_results']],
  ['truth masks', ['truth_masks']],
  ['errors', ['errors']],
]

/** Compares what happened with what was recorded once, level by level. */
export function compareRecordings(options: CompareOptions): LevelResult[] {
  const results = LEVELS.map(([level, keys]) => result(level, firstDifference(options, keys)))
  const expectedOrder = at(options.golden, 'tracker', 'completion_order')
  const order =
    expectedOrder === null
      ? null
      : differenceBetween(expectedOrder, {
          ...options,
          found: at(options.recorded, 'tracker', 'completion_order'),
          path: 'completion_order',
        })
  return [
    ...results.slice(0, 2),
    result('C completion order', order),
    ...results.slice(2),
    result('references', subsetDifference(options, 'concept_references')),
    result('prompts', callDifference(options, 'llm_calls', ['prompt', 'response_format'])),
    result('script calls', callDifference(options, 'python_calls', ['kind', 'function', 'inputs', 'result'])),
    result('people', peopleDifference(options)),
    result('files', filesDifference(options)),
  ]
}

function result(level: Level, difference: string | null): LevelResult {
  return { level, ok: difference === null, difference }
}

function firstDifference(options: CompareOptions, keys: readonly string[]): string | null {
  for (const key of keys) {
    const expected = options.golden.get(key)
    if (expected === undefined) continue
    const found = options.recorded.get(key) ?? null
    const difference =
      key === 'trace'
        ? listDifference(expected, { ...options, found, path: key })
        : differenceBetween(expected, { ...options, found, path: key })
    if (difference !== null) return difference
  }
  return null
}

interface Against extends NormalForm {
  readonly found: Value
  readonly path: string
}

function differenceBetween(expected: Value, { found, path, baseDir }: Against): string | null {
  const wanted = normalValue(expected, { baseDir })
  const got = normalValue(found, { baseDir })
  return canonicalText(wanted) === canonicalText(got) ? null : narrowest(wanted, got, path)
}

// Entries of the trace are compared on the keys that were recorded; ours may say more.
function listDifference(expected: Value, against: Against): string | null {
  if (!isList(expected) || !isList(against.found)) return differenceBetween(expected, against)
  for (const [place, entry] of expected.entries()) {
    const found = against.found[place] ?? null
    const path = `${against.path}[${place}]`
    const difference = entriesDifference(entry, { ...against, found, path })
    if (difference !== null) return difference
  }
  if (against.found.length <= expected.length) return null
  return `${against.path}: ${against.found.length} entries instead of ${expected.length}`
}

function entriesDifference(expected: Value, against: Against): string | null {
  if (!(expected instanceof PyDict) || !(against.found instanceof PyDict)) return differenceBetween(expected, against)
  for (const [key, value] of expected.entries()) {
    const found = against.found.get(key) ?? null
    const difference = differenceBetween(value, { ...against, found, path: `${against.path}.${str(key)}` })
    if (difference !== null) return difference
  }
  return null
}

function subsetDifference(options: CompareOptions, key: string): string | null {
  const expected = options.golden.get(key)
  if (expected === undefined) return null
  return entriesDifference(expected, { ...options, found: options.recorded.get(key) ?? null, path: key })
}

function callDifference(options: CompareOptions, key: string, fields: readonly string[]): string | null {
  const expected = options.golden.get(key)
  if (!isList(expected)) return null
  const pick = (call: Value): Value =>
    call instanceof PyDict
      ? PyDict.of(fields.flatMap(field => (call.has(field) ? [[field, call.get(field) ?? null] as const] : [])))
      : call
  return listDifference(expected.map(pick), { ...options, found: options.recorded.get(key) ?? null, path: key })
}

function peopleDifference(options: CompareOptions): string | null {
  const chat = firstDifference(options, ['chat_sent', 'canvas_commands', 'chat_reads'])
  if (chat !== null) return chat
  const expected = options.golden.get('user_inputs')
  const found = options.recorded.get('user_inputs')
  if (!isList(expected) || !isList(found)) return null
  if (expected.length !== found.length) return `user_inputs: ${found.length} questions instead of ${expected.length}`
  for (const [place, question] of expected.entries()) {
    for (const part of ['config', 'kwargs']) {
      const asked = at(question, part)
      if (asked === null) continue
      const difference = entriesDifference(asked, {
        ...options,
        found: at(found[place] ?? null, part),
        path: `user_inputs[${place}].${part}`,
      })
      if (difference !== null) return difference
    }
  }
  return null
}

function filesDifference(options: CompareOptions): string | null {
  const expected = options.golden.get('files')
  if (expected instanceof PyDict) {
    for (const [path, content] of expected.entries()) {
      const found = options.readFile(str(path))
      const difference = differenceBetween(content, { ...options, found, path: `files ${str(path)}` })
      if (difference !== null) return difference
    }
  }
  const output = options.golden.get('output_file')
  if (typeof output !== 'string' || options.written.includes(output)) return null
  return 'output_file: no file with the recorded text was written'
}

function at(value: Value, ...keys: readonly string[]): Value {
  let found: Value = value
  for (const key of keys) found = found instanceof PyDict ? (found.get(key) ?? null) : null
  return found
}

function narrowest(expected: Value, found: Value, path: string): string {
  if (expected instanceof PyDict && found instanceof PyDict) {
    for (const key of new Set([...expected.keys(), ...found.keys()])) {
      const [wanted, got] = [expected.get(key) ?? null, found.get(key) ?? null]
      if (canonicalText(wanted) !== canonicalText(got)) return narrowest(wanted, got, `${path}.${str(key)}`)
    }
  }
  if (isList(expected) && isList(found)) {
    for (let place = 0; place < Math.max(expected.length, found.length); place++) {
      const [wanted, got] = [expected[place] ?? null, found[place] ?? null]
      if (canonicalText(wanted) !== canonicalText(got)) return narrowest(wanted, got, `${path}[${place}]`)
    }
    return `${path}: ${found.length} items instead of ${expected.length}`
  }
  return `${path}: ${shown(found)} instead of ${shown(expected)}`
}

function shown(value: Value): string {
  const text = canonicalText(value)
  return text.length > 300 ? `${text.slice(0, 300)}…` : text
}
