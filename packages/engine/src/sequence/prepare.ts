import type { LoadedParadigms } from '#paradigm/load'
import type { InferenceEntry } from '#plan/repositories'
import type { Dialect } from '#run/dialect'
import { PyError } from '#value/value'
import { prepareComposition } from './composition.ts'
import { prepareInput } from './input.ts'
import { prepareLoop } from './looping.ts'
import { preparePython } from './python.ts'
import type { PreparedSequence } from './result.ts'
import { prepareAssigning, prepareGrouping } from './structure.ts'
import { timingSequence } from './timing.ts'

/** Reads what a step is configured with. A sequence that nobody knows fails when it is executed. */
export function prepareSequence(
  entry: InferenceEntry,
  options: { readonly paradigms: LoadedParadigms; readonly dialect: Dialect; readonly loopKey: string | null },
): PreparedSequence {
  switch (entry.sequence) {
    case 'imperative_in_composition':
    case 'judgement_in_composition':
      return prepareComposition(entry, options)
    case 'imperative_python':
    case 'judgement_python':
      return preparePython(entry)
    case 'imperative_input':
      return prepareInput(entry)
    case 'grouping':
      return prepareGrouping(entry)
    case 'assigning':
      return prepareAssigning(entry)
    case 'timing':
      return timingSequence
    case 'looping':
    case 'quantifying':
      return prepareLoop(entry, { key: options.loopKey ?? entry.flowIndex, dialect: options.dialect })
    default:
      return { lanes: [], start: () => unknownSequence(entry.writtenSequence) }
  }
}

function unknownSequence(name: string): never {
  throw new PyError('ValueError', `There is no sequence called ${name}.`)
}
