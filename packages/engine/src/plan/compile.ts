import { activateConcepts, type CompiledConcept } from './activate/concepts.ts'
import { activateInferences, sequenceOf, type CompiledInference } from './activate/inferences.ts'
import { annotation, carryDistance, functionText } from './activate/annotations.ts'
import { parseNcd, type NcdLine } from './ncd-parse.ts'
import { groupInferences, type AttachedConcept, type InferenceGroup } from './nci.ts'
import { problemError, problemWarning, type Problem } from './problems.ts'

export interface CompiledPlan {
  readonly lines: readonly NcdLine[]
  readonly nci: readonly InferenceGroup[]
  readonly concepts: readonly CompiledConcept[]
  readonly inferences: readonly CompiledInference[]
  readonly problems: readonly Problem[]
}

export interface CompileOptions {
  /** Three hex digits for every sign that is made; counts up from `001` by default, so equal text gives equal files. */
  readonly nextId?: () => string
}

/** Compiles the text of a post-formalized plan (`.pf.ncd`) into its repositories. */
export function compilePlan(source: string, options: CompileOptions = {}): CompiledPlan {
  const lines = parseNcd(source)
  const nci = groupInferences(lines)
  const concepts = activateConcepts(nci, options.nextId ?? countingIds())
  const inferences = activateInferences(nci)
  return { lines, nci, concepts, inferences, problems: problemsOf({ lines, nci, inferences }) }
}

export interface CompiledFiles extends CompiledPlan {
  /** File name to text: `plan.nci.json`, `concept_repo.json`, `inference_repo.json`. */
  readonly files: ReadonlyMap<string, string>
}

/** As `compilePlan`, with the repositories as JSON text: indent 2, characters outside ASCII kept as they are. */
export function compileToFiles(source: string, options: CompileOptions = {}): CompiledFiles {
  const compiled = compilePlan(source, options)
  const json = (value: unknown): string => JSON.stringify(value, null, 2)
  const files = new Map([
    ['plan.nci.json', json(compiled.nci)],
    ['concept_repo.json', json(compiled.concepts)],
    ['inference_repo.json', json(compiled.inferences)],
  ])
  return { ...compiled, files }
}

function countingIds(): () => string {
  let last = 0
  return () => {
    last = (last % 0xfff) + 1
    return last.toString(16).padStart(3, '0')
  }
}

function problemsOf(compiled: Pick<CompiledPlan, 'lines' | 'nci' | 'inferences'>): Problem[] {
  const problems: Problem[] = []
  for (const line of compiled.lines) {
    if (line.type !== 'main') continue
    for (const warning of line.warnings ?? []) {
      problems.push(
        problemWarning({
          code: 'compile.unrecognized',
          path: line.flow_index,
          message: `${warning}: ${line.nc_main}`,
          hint: 'Write a value as {object}, <proposition> or [relation], a step as ::(text), or use an operator.',
        }),
      )
    }
  }
  for (const group of compiled.nci) {
    problems.push(...ignoredNotation(group))
    const step = group.function_concept
    if (sequenceOf(step) === null) {
      problems.push(
        problemError({
          code: 'compile.no_sequence',
          path: step.flow_index,
          message: `Nothing says which sequence runs this step: ${functionText(step)}`,
          hint: 'Add | ?{sequence}: imperative (or judgement, grouping, assigning, timing, looping) to its line.',
        }),
      )
    }
    if (group.value_concepts.some(isBound) && !group.value_concepts.every(isBound)) {
      problems.push(
        problemWarning({
          code: 'compile.unbound_value',
          path: step.flow_index,
          message: 'Some values have an argument position and others have none; those without one are not passed.',
          hint: 'Give every value of the step a position such as <:{2}>, or none of them.',
        }),
      )
    }
  }
  if (compiled.inferences.length === 0) {
    problems.push(
      problemError({
        code: 'compile.empty',
        path: '',
        message: 'The text contains no step.',
        hint: 'A step is a concept line with a <= line below it, indented by four blanks.',
      }),
    )
  }
  return problems
}

// What the notation allows and the repositories have no field for.
function ignoredNotation(group: InferenceGroup): Problem[] {
  const ignored = (concept: AttachedConcept, what: string, hint: string): Problem =>
    problemWarning({ code: 'compile.ignored', path: concept.flow_index, message: `${what} has no effect.`, hint })
  return [
    ...group.value_concepts
      .filter(concept => annotation(concept.attached_comments, 'selector_packed')?.toLowerCase() === 'false')
      .map(concept => ignored(concept, 'selector_packed: false', 'Write selector_unpack: true instead.')),
    ...group.other_concepts
      .filter(concept => (carryDistance(concept) ?? 1) !== 1)
      .map(concept => ignored(concept, 'A distance other than 1', 'Carry from one iteration ago: <$([base])*-1>.')),
  ]
}

function isBound(concept: { readonly nc_main: string }): boolean {
  return /<:\{\d+\}>/.test(concept.nc_main)
}
