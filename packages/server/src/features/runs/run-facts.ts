import { setImmediate as nextTurn } from 'node:timers/promises'
import { decodeRecord } from '@slipway/engine/run/codec'
import type { StepRecord } from '@slipway/engine/run/records'
import type { Reference } from '@slipway/engine/reference/reference'
import type { Reader } from '#db/database'
import { selectAskedCalls } from './inspection-store.ts'
import { selectSteps } from './journal-store.ts'
import type { Stretch } from './run-line.ts'
import { statusOf } from './step-view.ts'
import { isWrite } from './write-log.ts'

/** What an execution wrote to one concept, as it is on disk: the values themselves are not read. */
export interface WrittenFact {
  readonly name: string
  /** JSON of what stands for the value or for what was added to it; null when it was cleared. */
  readonly token: string | null
  /** How many elements of the value before are kept in front of it. */
  readonly kept: number | null
}

export interface CallFact {
  /** Which call of the execution it is. */
  readonly path: string
  readonly type: string
  /** Text as on disk. */
  readonly inputs: string
}

/** One finished execution, as far as two of them are compared. */
export interface StepFact {
  readonly flowIndex: string
  readonly execution: number
  readonly conceptName: string
  readonly status: string
  readonly written: readonly WrittenFact[]
  /** In the order of their paths. */
  readonly calls: readonly CallFact[]
}

export interface Facts {
  readonly steps: readonly StepFact[]
  /** Whether there are more than are compared. */
  readonly isCut: boolean
}

const mostSteps = 50_000
const mostCalls = 100_000
const rowsPerPage = 500

/** The executions that ended in these parts of a history, in their order. */
export async function readFacts(read: Reader, line: readonly Stretch[], signal: AbortSignal): Promise<Facts> {
  const steps: StepFact[] = []
  let isCut = false
  for (const stretch of line) {
    if (stretch.after >= stretch.until) continue
    const calls = await readCalls(read, stretch.row.id, signal)
    isCut ||= calls.isCut
    let { after } = stretch
    for (;;) {
      const rows = await selectSteps(read, stretch.row.id, {
        after,
        limit: Math.min(rowsPerPage, stretch.until - after),
      })
      for (const { n, record: text } of rows) {
        after = n
        if (n > stretch.until) break
        const fact = toFact(text, calls.byExecution)
        if (fact !== null) steps.push(fact)
      }
      if (steps.length >= mostSteps) return { steps, isCut: true }
      if (rows.length === 0 || after >= stretch.until) break
      await nextTurn()
      signal.throwIfAborted()
    }
  }
  return { steps, isCut }
}

type CallsByExecution = ReadonlyMap<string, readonly CallFact[]>

async function readCalls(
  read: Reader,
  runId: string,
  signal: AbortSignal,
): Promise<{ readonly byExecution: CallsByExecution; readonly isCut: boolean }> {
  const byExecution = new Map<string, CallFact[]>()
  let after = 0
  for (let count = 0; count < mostCalls; count += rowsPerPage) {
    const rows = await selectAskedCalls(read, runId, { after, limit: rowsPerPage })
    for (const { n, key, type, inputs } of rows) {
      after = n
      const end = key.indexOf('/')
      const call = { path: key.slice(end + 1), type, inputs }
      const known = byExecution.get(key.slice(0, end))
      if (known) known.push(call)
      else byExecution.set(key.slice(0, end), [call])
    }
    if (rows.length < rowsPerPage) return { byExecution, isCut: false }
    await nextTurn()
    signal.throwIfAborted()
  }
  return { byExecution, isCut: true }
}

function toFact(text: string, calls: CallsByExecution): StepFact | null {
  // What `get` is given stands for a value, and takes its place here.
  const tokens = new Map<Reference, string>()
  const record = decodeRecord(text, token => {
    const standIn: Reference = { axes: [], shape: [], data: null }
    tokens.set(standIn, JSON.stringify(token))
    return standIn
  })
  if (record.kind !== 'step') return null
  const { flowIndex, execution, concept } = record
  const asked = calls.get(`${flowIndex}#${execution}`) ?? []
  return {
    flowIndex,
    execution,
    conceptName: concept,
    status: statusInWords(record),
    written: writtenBy(record, tokens),
    calls: asked.toSorted((one, other) => comparePaths(one.path, other.path)),
  }
}

function statusInWords(record: StepRecord): string {
  const status = statusOf(record)
  return status === 'completed' && record.detail === 'condition_not_met' ? record.detail : status
}

/** Its own concept first. */
function writtenBy({ changes, concept }: StepRecord, tokens: ReadonlyMap<Reference, string>): WrittenFact[] {
  const written = changes.filter(isWrite).map(({ name, reference, grown }) => {
    const value = grown?.added ?? reference ?? null
    return { name, token: value && (tokens.get(value) ?? null), kept: grown?.kept ?? null }
  })
  return written.sort((one, other) => Number(other.name === concept) - Number(one.name === concept))
}

/** Orders paths of calls such as `0.10/1` by their numbers. */
function comparePaths(a: string, b: string): number {
  const left = a.split(/[./]/).map(Number)
  const right = b.split(/[./]/).map(Number)
  const place = left.findIndex((number, at) => number !== right[at])
  return place < 0 ? left.length - right.length : (left[place] ?? 0) - (right[place] ?? -1)
}
