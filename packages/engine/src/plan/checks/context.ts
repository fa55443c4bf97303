import type { LoadedPlan } from '../manifest.ts'
import type { Problem } from '../problems.ts'
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
}

/** Where a step stands: the file and, behind `#`, its flow index. */
export function stepPath(context: CheckContext, step: InferenceEntry): string {
  return `${context.plan.sources.inferences}#${step.flowIndex}`
}
