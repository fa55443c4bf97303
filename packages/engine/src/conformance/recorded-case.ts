import type { Run } from '#run/run'
import { PyDict, type Value } from '#value/value'
import type { ConformanceCase } from './cases.ts'
import { recordingDict, type Recording } from './recording.ts'

export interface RecordedCaseOptions {
  readonly given: ConformanceCase
  /** The texts that were put into the folder because an earlier result lists them. */
  readonly fixtureFiles: ReadonlyMap<string, string>
  /** What the run wrote, as it was at the end: path below the run's folder to text. */
  readonly files: ReadonlyMap<string, string>
}

const engines: readonly (readonly [dialect: string, engine: string])[] = [
  ['2026-01-strict', 'head'],
  ['2026-01', 'legacyfix'],
  ['2026-03', 'next'],
]

/**
 * A recording in the form of recorded results: which case it was, what happened, what it wrote and said. Ours alone are
 * `end` (status, reason and the steps that are stuck) and `cell_errors` (what went wrong in single cells).
 */
export function recordedCase(recording: Recording, { given, fixtureFiles, files }: RecordedCaseOptions): PyDict {
  const happened = recordingDict(recording)
  const dialect = recording.run.program.dialect
  const engine = engines.find(([name]) => name === dialect)?.[1] ?? dialect
  const [output, ...others] = files.values()
  return PyDict.of([
    ['golden', given.name.endsWith(`.${engine}`) ? given.name.slice(0, -engine.length - 1) : given.name],
    ['engine', engine],
    ...(given.inputs.size > 0 ? [['inputs', given.inputs] as const] : []),
    ['cycles', happened.get('cycles') ?? null],
    ['max_cycles', given.maxCycles],
    ...[...happened.entries()].filter(([key]) => key !== 'cycles'),
    ...chatEntries(recording, given),
    ...(fixtureFiles.size > 0 ? [['fixture_files', dictOf(fixtureFiles)] as const] : []),
    ['files', dictOf(files)],
    ...(output !== undefined && others.length === 0 ? [['output_file', output] as const] : []),
    ['cell_errors', recording.cellErrors],
    ['end', endDict(recording.run)],
  ])
}

// Only cases that talk have these.
function chatEntries(recording: Recording, given: ConformanceCase): (readonly [string, Value])[] {
  const { chatSent, canvasCommands, chatReads } = recording
  if (given.chatMessages.length === 0 && chatSent.length === 0 && canvasCommands.length === 0) return []
  return [
    ['chat_sent', chatSent],
    ['canvas_commands', canvasCommands],
    ['chat_reads', chatReads],
  ]
}

function dictOf(texts: ReadonlyMap<string, string>): PyDict {
  return PyDict.of([...texts])
}

function endDict({ end }: Run): PyDict | null {
  if (end === null) return null
  const stuck = end.stuck.map(({ flowIndex, why }) => PyDict.from({ flow_index: flowIndex, why: why.type }))
  return PyDict.from({ status: end.status, reason: end.reason, stuck })
}
