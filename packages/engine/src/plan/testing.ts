import type { PlanFiles } from './files.ts'

/** Files of a package from texts and values, for tests; values are written as JSON. */
export function filesOf(contents: Readonly<Record<string, unknown>>): PlanFiles {
  const encoder = new TextEncoder()
  return new Map(
    Object.entries(contents).map(([path, content]) => [
      path,
      encoder.encode(typeof content === 'string' ? content : JSON.stringify(content)),
    ]),
  )
}

/** A ground value, a step and its result: the smallest plan that runs. Fields given replace those of the step. */
export function smallestPlan(step: Readonly<Record<string, unknown>> = {}): {
  concepts: readonly Readonly<Record<string, unknown>>[]
  inferences: readonly Readonly<Record<string, unknown>>[]
} {
  return {
    concepts: [
      { concept_name: '{out}', type: '{}', is_final_concept: true },
      { concept_name: '{in}', type: '{}', is_ground_concept: true, reference_data: ['%(1)'] },
      { concept_name: '::(do)', type: '({})', is_ground_concept: true, reference_data: ['_'] },
    ],
    inferences: [
      {
        flow_info: { flow_index: '1' },
        inference_sequence: 'imperative_in_composition',
        concept_to_infer: '{out}',
        function_concept: '::(do)',
        value_concepts: ['{in}'],
        working_interpretation: { paradigm: 'known', value_order: { '{in}': 1 } },
        ...step,
      },
    ],
  }
}
