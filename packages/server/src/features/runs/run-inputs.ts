import { inputsOf, matchInput, type SuppliedInput } from '@slipway/engine/plan/inputs'
import type { LoadedPlan } from '@slipway/engine/plan/manifest'
import type { Problem } from '@slipway/engine/plan/problems'
import { givenReference } from '@slipway/engine/run/program'
import { decodeValue, encodeValue } from '@slipway/engine/value/codec'
import { MAX_WEIGHT, weigh } from '@slipway/engine/value/limits'
import { PyDict, PyError, type Value } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'
import type { Upload } from './run-folder.ts'

export type RunInputs = ReadonlyMap<string, SuppliedInput>

export interface ResolvedInputs {
  /** By exact concept name, the plan's own defaults included. */
  readonly inputs: RunInputs
  /** Those of them that the request gave. */
  readonly changed: RunInputs
  /** What came as `data:` URLs: files of the run, to be saved before it is acknowledged. */
  readonly uploads: readonly Upload[]
}

/**
 * The inputs of a run: the request's, matched to concepts, over the plan's defaults. Throws `input.unknown` for a name
 * the plan does not have and `input.invalid` for everything else, all problems at once in `details`. `before` are those
 * of the run that it is a fork of.
 */
export function resolveInputs(plan: LoadedPlan, given: PyDict, before: RunInputs = new Map()): ResolvedInputs {
  const { found: changed, uploads } = resolve(plan, given)
  const known = new Set(plan.concepts.map(({ conceptName }) => conceptName))
  const kept = [...before].filter(([name]) => known.has(name))
  const inputs: RunInputs = new Map([...plan.defaultInputs, ...kept, ...changed])
  const missing = plan.inputs.filter(input => input.required && !inputs.has(input.name))
  if (missing.length > 0) {
    const names = missing.map(input => `${input.name} (${input.type})`).join(', ')
    throw invalid(
      `The plan needs ${names}. Give it under "inputs".`,
      missing.map(input => input.name),
    )
  }
  return { inputs, changed, uploads }
}

/** Values of a plan's concepts by name, as inputs are named and checked. */
export function resolveValues(plan: LoadedPlan, given: PyDict): RunInputs {
  const problems: Problem[] = []
  const values = inputsOf(given, { path: 'overrides', problems })
  if (problems.length > 0) throw invalidBecause(problems)
  for (const [name, value] of values) checkSize(name, value)
  const named = new Map<string, SuppliedInput>()
  for (const [key, value] of values) named.set(conceptNamed(plan, key), value)
  return named
}

/** The concept of a plan that a name means, as with inputs. Throws `input.unknown`. */
export function conceptNamed(plan: LoadedPlan, key: string): string {
  const match = matchInput(plan, key)
  if (match.ok) return match.name
  throw new AppError('input.unknown', `${match.problem.message} ${match.problem.hint}`)
}

function resolve(
  plan: LoadedPlan,
  given: PyDict,
): { readonly found: Map<string, SuppliedInput>; readonly uploads: Upload[] } {
  const problems: Problem[] = []
  const found = new Map<string, SuppliedInput>()
  const uploads: Upload[] = []
  const unknown: string[] = []
  for (const [key, input] of inputsOf(given, { path: 'inputs', problems })) {
    const match = matchInput(plan, key)
    if (!match.ok) {
      unknown.push(`${match.problem.message} ${match.problem.hint}`)
      continue
    }
    found.set(match.name, { data: withFiles(input.data, { key, baseDir: plan.baseDir, uploads }), axes: input.axes })
  }
  if (unknown.length > 0) throw new AppError('input.unknown', unknown.join(' '))
  for (const [name, input] of found) checkSize(name, input)
  if (problems.length > 0) throw invalidBecause(problems)
  return { found, uploads }
}

function invalidBecause(problems: readonly Problem[]): AppError {
  return invalid(problems.map(problem => `${problem.message} ${problem.hint}`).join(' '), problems)
}

/** What one input may weigh: larger ones are files, which nothing reads as a whole unless a step asks for it. */
const mostInputWeight = MAX_WEIGHT / 2

function checkSize(name: string, { data, axes }: SuppliedInput): void {
  try {
    weigh(data, mostInputWeight)
    givenReference(data, axes)
  } catch (cause) {
    if (!(cause instanceof PyError)) throw cause
    throw invalid(`${name} cannot be taken: ${cause.message} Large inputs are given as files, with a "data:" URL.`)
  }
}

/** The inputs as the run row keeps them. */
export function encodeInputs(inputs: RunInputs): string {
  const entries = [...inputs].map(([name, { data, axes }]): [Value, Value] => [name, PyDict.from({ data, axes })])
  return encodeValue(PyDict.of(entries))
}

/** Reads what `encodeInputs` wrote. */
export function decodeInputs(text: string): RunInputs {
  const dict = decodeValue(text) as PyDict
  return inputsOf(dict, { path: 'inputs', problems: [] })
}

interface FileContext {
  readonly key: string
  readonly baseDir: string
  readonly uploads: Upload[]
}

// The media type matters for the file's ending only; parameters other than `;base64` are ignored.
const dataUrl = /^data:([a-z]+\/[a-z0-9.+-]+)?((?:;[a-z0-9-]+=[^;,]*)*)(;base64)?,/i

/** Replaces every `data:` URL by a sign of the file that it becomes. */
function withFiles(value: Value, context: FileContext): Value {
  if (typeof value === 'string') {
    const match = value.length < 6 || !value.startsWith('data:') ? null : dataUrl.exec(value)
    return match ? saved(value, match, context) : value
  }
  if (Array.isArray(value)) return value.map((item: Value) => withFiles(item, context))
  return value
}

function saved(url: string, match: RegExpExecArray, { key, baseDir, uploads }: FileContext): Value {
  const text = url.slice(match[0].length)
  const bytes = match[3] === undefined ? percentDecoded(text, key) : base64Decoded(text, key)
  const place = uploads.length === 0 ? '' : `-${uploads.length + 1}`
  const path = `inputs/${fileName(key)}${place}${endings[match[1]?.toLowerCase() ?? 'text/plain'] ?? '.bin'}`
  uploads.push({ path: baseDir === '' ? path : `${baseDir}/${path}`, bytes })
  return `%{file_location}f1e(${path})`
}

function base64Decoded(text: string, key: string): Uint8Array {
  if (!/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) throw invalid(`The data URL of "${key}" is not valid base64.`)
  return Buffer.from(text, 'base64')
}

function percentDecoded(text: string, key: string): Uint8Array {
  try {
    return Buffer.from(decodeURIComponent(text), 'utf-8')
  } catch {
    throw invalid(`The data URL of "${key}" is not validly percent-encoded.`)
  }
}

function fileName(key: string): string {
  const plain = key
    .normalize('NFC')
    .replace(/[^\p{L}\p{M}\p{N}_.]+/gu, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
  return plain.slice(0, 80) || 'input'
}

const endings: Readonly<Record<string, string>> = {
  'text/plain': '.txt',
  'text/markdown': '.md',
  'text/csv': '.csv',
  'text/html': '.html',
  'application/json': '.json',
  'application/pdf': '.pdf',
  'image/png': '.png',
  'image/jpeg': '.jpg',
}

function invalid(message: string, details?: unknown): AppError {
  return new AppError('input.invalid', message, { details })
}
