import { isList, PyDict, type Value } from '../value/value.ts'
import { pointer, readJsonText, type Reporting } from './fields.ts'
import { didYouMean, problemError, type Problem } from './problems.ts'
import type { ConceptEntry } from './repositories.ts'

/** A value for a concept. Data that is no list is meant as a list of one; null axes are named automatically. */
export interface SuppliedInput {
  readonly data: Value
  readonly axes: readonly string[] | null
}

/** An input that a plan has. */
export interface PlanInput {
  /** The exact concept name. */
  readonly name: string
  readonly naturalName: string
  readonly type: string
  /** Whether a run cannot start without it: nothing in the plan gives it a value. */
  readonly required: boolean
  readonly description: string
  readonly hasDefault: boolean
  /** Packers list the ground concepts of functions as inputs too; nobody has to supply these. */
  readonly isFunction: boolean
}

export interface ParsedInputs {
  readonly inputs: ReadonlyMap<string, SuppliedInput>
  readonly problems: readonly Problem[]
}

/** Reads an inputs file: an object of concept name to value; keys that begin with `_` are comments. */
export function parseInputs(text: string, { file = 'inputs.json' } = {}): ParsedInputs {
  const problems: Problem[] = []
  const value = readJsonText(text, { path: file, problems })
  if (value === undefined) return { inputs: new Map(), problems }
  if (value instanceof PyDict) return { inputs: inputsOf(value, { path: file, problems }), problems }
  problems.push(
    problemError({
      code: 'inputs.not_an_object',
      path: file,
      message: 'Inputs are an object of concept name to value; this file is something else.',
      hint: 'Write {"{name}": value} or {"{name}": {"data": …, "axes": […]}}.',
    }),
  )
  return { inputs: new Map(), problems }
}

/** As `parseInputs`, for inputs that came with a request. */
export function inputsOf(dict: PyDict, at: Reporting): Map<string, SuppliedInput> {
  const inputs = new Map<string, SuppliedInput>()
  for (const [name, value] of dict.entries()) {
    if (typeof name !== 'string' || name.startsWith('_')) continue
    const input = suppliedInput(value, { path: pointer(at.path, name), problems: at.problems })
    if (input) inputs.set(name, input)
  }
  return inputs
}

function suppliedInput(value: Value, at: Reporting): SuppliedInput | null {
  if (!(value instanceof PyDict) || !value.has('data')) return { data: value, axes: null }
  const axes = value.get('axes') ?? null
  if (axes === null) return { data: value.get('data') ?? null, axes: null }
  if (isList(axes) && axes.every(axis => typeof axis === 'string') && new Set(axes).size === axes.length) {
    return { data: value.get('data') ?? null, axes }
  }
  at.problems.push(
    problemError({
      code: 'inputs.axes',
      path: pointer(at.path, 'axes'),
      message: 'Axes are a list of different names.',
      hint: 'Write one name for each dimension of the data, or leave "axes" out.',
    }),
  )
  return null
}

export type InputMatch =
  { readonly ok: true; readonly name: string } | { readonly ok: false; readonly problem: Problem }

/**
 * The concept that an input's key means: its exact name, else its natural name, else either of them without brackets,
 * capitals and the difference between blanks, `_` and `-`. The plan's declared inputs win over its other concepts.
 */
export function matchInput(
  plan: { readonly concepts: readonly ConceptEntry[]; readonly inputs: readonly PlanInput[] },
  key: string,
): InputMatch {
  if (plan.concepts.some(concept => concept.conceptName === key)) return { ok: true, name: key }
  const declared = plan.inputs.filter(input => !input.isFunction).map(input => input.name)
  const isDeclared = new Set(declared)
  const candidates = plan.concepts.map(concept => ({ name: concept.conceptName, natural: concept.naturalName }))
  const tests: ((candidate: (typeof candidates)[number]) => boolean)[] = [
    ({ natural }) => natural === key,
    ({ name, natural }) => bare(name) === bare(key) || bare(natural) === bare(key),
    ({ name, natural }) => loose(name) === loose(key) || loose(natural) === loose(key),
  ]
  for (const fits of tests) {
    const all = [...new Set(candidates.filter(fits).map(({ name }) => name))]
    const own = all.filter(name => isDeclared.has(name))
    const found = own.length > 0 ? own : all
    if (found.length > 1) return { ok: false, problem: ambiguous(key, found) }
    if (found[0] !== undefined) return { ok: true, name: found[0] }
  }
  return { ok: false, problem: unknownInput(key, declared) }
}

/** A name without the brackets around it. */
export function bare(name: string): string {
  return (
    /^(?:\{(.*)\}|\[(.*)\]|<(.*)>)$/s
      .exec(name)
      ?.slice(1)
      .find(inner => inner !== undefined) ?? name
  )
}

function loose(name: string): string {
  return bare(name)
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[\s_-]+/g, ' ')
    .trim()
}

function ambiguous(key: string, found: readonly string[]): Problem {
  return problemError({
    code: 'input.ambiguous',
    path: key,
    message: `"${key}" may mean ${found.join(' or ')}.`,
    hint: 'Use the exact concept name.',
  })
}

function unknownInput(key: string, declared: readonly string[]): Problem {
  const otherwise = declared.length > 0 ? `The plan's inputs are ${declared.join(', ')}.` : 'The plan has no inputs.'
  return problemError({
    code: 'input.unknown',
    path: key,
    message: `The plan has no concept called "${key}".`,
    hint: didYouMean(key, { known: declared, otherwise }),
  })
}
