import { isList, PyDict, type Value } from '../../value/value.ts'
import { compareFlowIndices, parentIndex } from '../flow-index.ts'
import { problemError } from '../problems.ts'
import type { InferenceEntry } from '../repositories.ts'
import { stepPath, type CheckContext } from './context.ts'

/**
 * Finds steps that can never start. It takes the most favourable course: every judgement goes the way that helps, a
 * loop hands out its elements, and what may be skipped counts as done. What is stuck even so is stuck in every run.
 */
export function checkReadiness(context: CheckContext): void {
  // From the deepest and last step upwards, which is the order in which most plans become ready.
  const steps = context.plan.inferences
    .filter(step => knowsItsConcepts(context, step))
    .sort((a, b) => compareFlowIndices(b.flowIndex, a.flowIndex))
  const state: State = {
    given: initiallyGiven(context),
    done: new Set(),
    waiting: new Map(),
    due: steps.toReversed(),
    below: supportersOf(steps),
    dependants: dependantsOf(steps),
    producers: Map.groupBy(steps, step => step.conceptToInfer),
  }
  for (let step = state.due.pop(); step !== undefined; step = state.due.pop()) {
    if (!state.done.has(step)) tryStep(step, state)
  }
  const stuck = steps.filter(step => !state.done.has(step)).reverse()
  for (const step of stuck) reportNeverGiven(context, step, state)
  reportCycles(context, { stuck, state })
}

interface State {
  /** Concepts that have, or can come to have, a value. */
  readonly given: Set<string>
  readonly done: Set<InferenceEntry>
  /** By a step or the name of a concept, the steps to look at again once that is done or given. */
  readonly waiting: Map<InferenceEntry | string, InferenceEntry[]>
  /** The steps to look at, the next one last. */
  readonly due: InferenceEntry[]
  /** The steps whose flow index lies below a step's own. */
  readonly below: ReadonlyMap<InferenceEntry, InferenceEntry[]>
  /** The steps that use a concept as function or value. */
  readonly dependants: ReadonlyMap<string, readonly InferenceEntry[]>
  readonly producers: ReadonlyMap<string, readonly InferenceEntry[]>
}

function supportersOf(steps: readonly InferenceEntry[]): Map<InferenceEntry, InferenceEntry[]> {
  const byIndex = Map.groupBy(steps, step => step.flowIndex)
  const below = new Map<InferenceEntry, InferenceEntry[]>(steps.map(step => [step, []]))
  for (const step of steps) {
    for (let index = parentIndex(step.flowIndex); index !== ''; index = parentIndex(index)) {
      for (const ancestor of byIndex.get(index) ?? []) below.get(ancestor)?.push(step)
    }
  }
  return below
}

function dependantsOf(steps: readonly InferenceEntry[]): Map<string, InferenceEntry[]> {
  const dependants = new Map<string, InferenceEntry[]>()
  for (const step of steps) {
    for (const name of new Set([step.functionConcept, ...step.valueConcepts])) {
      if (name === null) continue
      const known = dependants.get(name) ?? []
      known.push(step)
      dependants.set(name, known)
    }
  }
  return dependants
}

/** Either a concept without a value or a step below that cannot be done. */
type Blocker = { readonly concept: string } | { readonly step: InferenceEntry }

function knowsItsConcepts(context: CheckContext, step: InferenceEntry): boolean {
  const names = [step.conceptToInfer, step.functionConcept, ...step.valueConcepts]
  return names.every(name => name === null || context.concepts.has(name))
}

function initiallyGiven(context: CheckContext): Set<string> {
  const ground = [...context.concepts.values()].filter(concept => concept.isGround)
  return new Set([...ground.map(concept => concept.conceptName), ...context.inputNames])
}

function blockersOf(step: InferenceEntry, state: State): Blocker[] {
  const concepts = missingConcepts(step, state)
  const waits = !step.startWithSupportReferenceOnly && !step.startWithoutSupportReferenceOnlyOnce
  const supporters = waits ? stillOpen(state.below.get(step) ?? [], state) : []
  return [...concepts.map(concept => ({ concept })), ...supporters.map(supporter => ({ step: supporter }))]
}

// What is done stays done, so it is dropped for good from the end, where what is done last is found first.
function stillOpen(below: InferenceEntry[], { done }: State): InferenceEntry[] {
  while (below.length > 0 && done.has(below.at(-1) as InferenceEntry)) below.pop()
  const last = below.at(-1)
  return last === undefined ? [] : [last]
}

function missingConcepts(step: InferenceEntry, { given }: State): string[] {
  const missing = (names: readonly string[]): string[] => names.filter(name => !given.has(name))
  const skipsValues = step.startWithoutValue || step.startWithoutValueOnlyOnce
  const skipsFunction = step.startWithoutFunction || step.startWithoutFunctionOnlyOnce
  const needed = skipsFunction || step.functionConcept === null ? [] : missing([step.functionConcept])
  if (!skipsValues) needed.push(...missingValues(step, missing))
  if (step.sequence === 'timing') needed.push(...missing(namesIn(syntaxOf(step).get('condition'))))
  return [...new Set(needed)]
}

function missingValues(step: InferenceEntry, missing: (names: readonly string[]) => string[]): string[] {
  const source = syntaxOf(step).get('assign_source')
  const choices = step.sequence === 'assigning' && isList(source) ? namesIn(source) : []
  const offered = step.valueConcepts.filter(name => choices.includes(name))
  if (offered.length === 0) return missing(step.valueConcepts)
  const others = missing(step.valueConcepts.filter(name => !choices.includes(name)))
  const unavailable = missing(offered)
  return unavailable.length === offered.length ? [...others, ...unavailable] : others
}

// Looked at again only when what it waits for is there, so that large plans are checked in one pass.
function tryStep(step: InferenceEntry, state: State): void {
  const blockers = blockersOf(step, state)
  if (blockers.length === 0) return finish(step, state)
  const first = blockers.find(blocker => 'step' in blocker)
  for (const blocker of first ? [first] : blockers) {
    const key = 'step' in blocker ? blocker.step : blocker.concept
    const known = state.waiting.get(key)
    if (known) known.push(step)
    else state.waiting.set(key, [step])
    // One concept is enough to wait for, unless it is one of several of which any will do.
    if (!isList(syntaxOf(step).get('assign_source'))) break
  }
}

function isDone(step: InferenceEntry, state: State): void {
  state.done.add(step)
  wake(step, state)
  isGiven(step.conceptToInfer, state)
}

function isGiven(name: string, state: State): void {
  state.given.add(name)
  wake(name, state)
}

function wake(key: InferenceEntry | string, { waiting, due }: State): void {
  for (const step of waiting.get(key) ?? []) due.push(step)
  waiting.delete(key)
}

function finish(step: InferenceEntry, state: State): void {
  isDone(step, state)
  if (step.sequence === 'looping' || step.sequence === 'quantifying') {
    for (const context of step.contextConcepts) isGiven(context, state)
  }
  const marker = syntaxOf(step).get('marker')
  if (step.sequence !== 'timing' || (marker !== 'if' && marker !== 'if!')) return
  for (const guarded of state.dependants.get(step.conceptToInfer) ?? []) {
    if (!state.done.has(guarded)) isDone(guarded, state)
  }
}

function reportNeverGiven(context: CheckContext, step: InferenceEntry, state: State): void {
  for (const name of missingConcepts(step, state)) {
    if (context.inferredBy.has(name) || !context.concepts.has(name)) continue
    context.problems.push(
      problemError({
        code: 'concept.never_given',
        path: stepPath(context, step),
        message: `The step waits for ${name}, which is not ground, is no input, and no step infers it.`,
        hint: 'Infer it, mark it as ground, or declare it as an input in the manifest.',
      }),
    )
  }
}

function reportCycles(
  context: CheckContext,
  { stuck, state }: { stuck: readonly InferenceEntry[]; state: State },
): void {
  const reported = new Set<InferenceEntry>()
  for (const start of stuck) {
    const cycle = cycleFrom(start, state)
    if (cycle.length === 0 || cycle.some(step => reported.has(step))) continue
    for (const step of cycle) reported.add(step)
    const [first = start] = cycle
    context.problems.push(
      problemError({
        code: 'step.cycle',
        path: stepPath(context, first),
        message: `These steps wait for each other and none can start: ${cycle.map(step => step.flowIndex).join(' → ')}.`,
        hint: 'Give one of their values as ground data or as an input, or break the circle.',
      }),
    )
  }
}

/** Follows what a stuck step waits for until a step comes round again; empty when it ends at a concept nobody gives. */
function cycleFrom(start: InferenceEntry, state: State): InferenceEntry[] {
  const way = new Set<InferenceEntry>()
  let step: InferenceEntry | undefined = start
  while (step && !way.has(step)) {
    way.add(step)
    step = blockersOf(step, state)
      .map(blocker => stuckBehind(blocker, state))
      .find(found => found !== undefined)
  }
  const steps = [...way]
  return step ? steps.slice(steps.indexOf(step)) : []
}

function stuckBehind(blocker: Blocker, state: State): InferenceEntry | undefined {
  if ('step' in blocker) return blocker.step
  return state.producers.get(blocker.concept)?.find(step => !state.done.has(step))
}

function syntaxOf(step: InferenceEntry): PyDict {
  const syntax = step.workingInterpretation.get('syntax')
  return syntax instanceof PyDict ? syntax : new PyDict()
}

function namesIn(value: Value | undefined): string[] {
  if (typeof value === 'string') return [value]
  return isList(value) ? value.filter(item => typeof item === 'string') : []
}
