import { folderOf } from '#plan/files'
import { readJson } from '#value/json-read'
import { isList, PyDict, type Value } from '#value/value'

/** How a recorded run was made, and the outside world that it had. */
export interface ConformanceCase {
  readonly name: string
  /** Paths are relative to the folder of the cases. */
  readonly baseDir: string
  readonly concepts: string
  readonly inferences: string
  /** As written; null leaves it to what the plan's files show. */
  readonly dialect: string | null
  readonly maxCycles: number
  /** The plan's own paradigms; null for the built-in ones alone. */
  readonly paradigms: string | null
  readonly golden: string | null
  readonly inputs: PyDict
  /** The file that holds the inputs, when the case names one instead of listing them. */
  readonly inputsFile: string | null
  readonly files: ReadonlyMap<string, string>
  readonly python: string
  /** What people answer, in order; null where the recorded answers are given. */
  readonly userAnswers: readonly Value[] | null
  readonly chatMessages: readonly Value[]
  readonly chatWriteResult: Value
  readonly canvasResult: Value
}

/** In place of a folder: the paradigms that the engine brings along. */
const BUILT_IN = 'reference_paradigms'

/** Reads a list of cases, alone or as the `cases` of an object. */
export function readCases(text: string): ConformanceCase[] {
  const file = readJson(text)
  const cases = file instanceof PyDict ? file.get('cases') : file
  if (!isList(cases)) throw new Error('The cases are not a list.')
  return cases.map(readCase)
}

function readCase(value: Value): ConformanceCase {
  if (!(value instanceof PyDict)) throw new Error('A case is not an object.')
  const text = (key: string): string | null => {
    const found = value.get(key)
    return typeof found === 'string' ? found : null
  }
  const required = (key: string): string => {
    const found = text(key)
    if (found === null) throw new Error(`A case lacks ${key}.`)
    return found
  }
  const concepts = required('concepts')
  const golden = text('golden')
  const maxCycles = value.get('max_cycles')
  const answers = value.get('user_answers') ?? null
  const messages = value.get('chat_messages') ?? null
  const paradigms = text('paradigms')
  return {
    name: required('name'),
    baseDir: text('base_dir') ?? folderOf(concepts),
    concepts,
    inferences: required('inferences'),
    dialect: text('dialect'),
    maxCycles: typeof maxCycles === 'number' ? maxCycles : 30,
    paradigms: paradigms === BUILT_IN ? null : paradigms,
    golden,
    inputs: dictOf(value.get('inputs')),
    inputsFile: text('inputs'),
    files: textsOf(value.get('files')),
    // Without a recorded result there is nothing that could be given again.
    python: text('python') ?? (golden === null ? 'run' : 'replay'),
    userAnswers: isList(answers) ? answers : null,
    chatMessages: isList(messages) ? messages : [],
    chatWriteResult: value.get('chat_write_result') ?? null,
    canvasResult: value.get('canvas_result') ?? null,
  }
}

function dictOf(value: Value | undefined): PyDict {
  return value instanceof PyDict ? value : new PyDict()
}

/** The entries of an object whose values are texts. */
export function textsOf(value: Value | undefined): Map<string, string> {
  const entries = [...dictOf(value).entries()]
  return new Map(
    entries.flatMap(([key, item]) => (typeof key === 'string' && typeof item === 'string' ? [[key, item]] : [])),
  )
}
