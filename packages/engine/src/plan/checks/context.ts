import type { LoadedPlan } from '../manifest.ts'
import { didYouMean, type Problem } from '../problems.ts'
import type { ConceptEntry, InferenceEntry } from '../repositories.ts'

/** What every check reads, and the list that it writes to. */
export interface CheckContext {
  readonly plan: LoadedPlan
  readonly concepts: ReadonlyMap<string, ConceptEntry>
  readonly inferredBy: ReadonlyMap<string, readonly InferenceEntry[]>
  readonly inputNames: ReadonlySet<string>
  readonly builtInParadigms: ReadonlySet<string>
  readonly pythonPackages: ReadonlySet<string> | null
  readonly problems: Problem[]
  /** How many more comparisons hints may cost; comparing all names of a broken or hostile plan would take minutes. */
  readonly comparisons: { left: number }
}

/** A hint that names the nearest known names, or `otherwise`. */
export function nearHint(
  context: CheckContext,
  name: string,
  { known, otherwise }: { known: Iterable<string>; otherwise: string },
): string {
  if (context.comparisons.left <= 0) return otherwise
  const names = [...known]
  context.comparisons.left -= names.length
  return didYouMean(name, { known: names, otherwise })
}

/** Where a step stands: the file and, behind `#`, its flow index. */
export function stepPath(context: CheckContext, step: InferenceEntry): string {
  return `${context.plan.sources.inferences}#${step.flowIndex}`
}
