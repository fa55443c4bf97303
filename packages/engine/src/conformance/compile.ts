import { parseJson } from '@slipway/kit/json'
import { compilePlan, type CompiledPlan } from '#plan/compile'

/** What one compiler case is held against; a level that the case does not record is null. */
export interface CompileCase {
  readonly name: string
  readonly source: string
  readonly lines: unknown
  readonly nci: unknown
  readonly concepts: unknown
  readonly inferences: unknown
}

/** Which levels are equal after normalisation; null where the case records nothing. */
export interface CompileCaseResult {
  readonly name: string
  readonly lines: boolean | null
  readonly nci: boolean | null
  readonly concepts: boolean | null
  readonly inferences: boolean | null
  /** The first difference of each unequal level, for people. */
  readonly differences: readonly string[]
  readonly compiled: CompiledPlan
}

/** The texts of a folder with `source.pf.ncd` and `expected.*.json`; missing files are null. */
export interface CompileFolder {
  readonly name: string
  readonly source: string
  readonly nci: string | null
  readonly concepts: string | null
  readonly inferences: string | null
}

/** Runs the snippets of a micro file (a parsed JSON list) and the plans of folders. */
export function runCompileCases(micro: unknown, folders: readonly CompileFolder[] = []): CompileCaseResult[] {
  const snippets = Array.isArray(micro) ? micro.map(microCase).filter(one => one !== null) : []
  return [...snippets, ...folders.map(folderCase)].map(runCompileCase)
}

export function runCompileCase(given: CompileCase): CompileCaseResult {
  const compiled = compilePlan(given.source)
  const differences: string[] = []
  const level = (name: 'lines' | 'nci' | 'concepts' | 'inferences'): boolean | null => {
    if (given[name] === null) return null
    const difference = firstDifference(compiled[name], given[name])
    if (difference !== null) differences.push(`${name}: ${difference}`)
    return difference === null
  }
  return {
    name: given.name,
    lines: level('lines'),
    nci: level('nci'),
    concepts: level('concepts'),
    inferences: level('inferences'),
    differences,
    compiled,
  }
}

/** JSON text with the three hex digits of every sign replaced, key order kept. */
export function normalizedJson(value: unknown): string {
  return (JSON.stringify(value) ?? 'null').replace(/%(\{[a-zA-Z0-9_]+\})?[0-9a-f]{3}\(/g, '%$1xxx(')
}

function microCase(item: unknown): CompileCase | null {
  if (typeof item !== 'object' || item === null) return null
  const fields = new Map(Object.entries(item))
  const text = (key: string): string => {
    const value: unknown = fields.get(key)
    return typeof value === 'string' ? value : ''
  }
  return {
    name: text('name'),
    source: text('pf_ncd'),
    lines: fields.get('lines') ?? null,
    nci: fields.get('nci') ?? null,
    concepts: fields.get('concept_repo') ?? null,
    inferences: fields.get('inference_repo') ?? null,
  }
}

function folderCase(folder: CompileFolder): CompileCase {
  const parsed = (text: string | null): unknown => (text === null ? null : parseJson(text))
  return {
    name: folder.name,
    source: folder.source,
    lines: null,
    nci: parsed(folder.nci),
    concepts: parsed(folder.concepts),
    inferences: parsed(folder.inferences),
  }
}

function firstDifference(got: readonly unknown[], expected: unknown): string | null {
  if (normalizedJson(got) === normalizedJson(expected)) return null
  if (!Array.isArray(expected)) return 'the record is no list'
  for (let at = 0; at < Math.max(got.length, expected.length); at++) {
    const ours = normalizedJson(got[at])
    const theirs = normalizedJson(expected[at])
    if (ours !== theirs) return `entry ${at}: got ${ours}, expected ${theirs}`
  }
  return 'the lists differ'
}
