import type { EffectOutcome, EffectRequest } from './effects.ts'
import { answer, askModel, type PlanSketch, type StepSketch } from './plan.fixture.ts'

export const ask = { paradigm: 'ask', value_order: { '{a}': 1 } }
export const paradigms = { ask: askModel }

export function copy(at: string, from: string, to: string): StepSketch {
  return {
    at,
    sequence: 'assigning',
    infers: to,
    values: [from],
    with: { syntax: { marker: '.', assign_source: from } },
  }
}

export function echo({ effect }: EffectRequest): EffectOutcome {
  return answer(effect.type === 'model.generate' ? `<${effect.prompt}>` : null)
}

/** A loop whose body asks the model about each element. */
export function loopOver(elements: readonly string[], extra: Partial<PlanSketch> = {}): PlanSketch {
  return {
    given: { '{list}': elements },
    axes: { '{list}': ['item'] },
    final: ['{all}'],
    paradigms,
    steps: [
      {
        at: '1',
        sequence: 'looping',
        infers: '{all}',
        by: '*loop',
        values: ['{list}'],
        contexts: ['{a}'],
        with: {
          syntax: {
            loop_index: 1,
            LoopBaseConcept: '{list}',
            CurrentLoopBaseConcept: '{a}',
            group_base: 'item',
            ConceptToInfer: ['{answer}'],
          },
        },
      },
      copy('1.1', '{answer}', '*loop'),
      { at: '1.1.1', sequence: 'imperative_in_composition', infers: '{answer}', values: ['{a}'], with: ask },
    ],
    ...extra,
  }
}
