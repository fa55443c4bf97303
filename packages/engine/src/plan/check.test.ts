import { describe, expect, test } from 'vitest'
import { checkPlan, type CheckOptions } from './check.ts'
import { loadPlan } from './manifest.ts'
import type { Problem } from './problems.ts'
import { filesOf, smallestPlan } from './testing.ts'

type Entry = Readonly<Record<string, unknown>>

const options: CheckOptions = { builtInParadigms: new Set(['known']) }

interface Contents {
  readonly concepts?: readonly Entry[]
  readonly inferences?: readonly Entry[]
  readonly files?: Readonly<Record<string, unknown>>
  readonly options?: CheckOptions
}

function check({ concepts = [], inferences = [], files = {}, options: own = options }: Contents): readonly Problem[] {
  const plan = smallestPlan()
  const result = loadPlan(
    filesOf({
      'concept_repo.json': [...plan.concepts, ...concepts],
      'inference_repo.json': [...plan.inferences, ...inferences],
      ...files,
    }),
  )
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return checkPlan(result.plan, own)
}

/** The codes of the problems of a plan whose only step has these fields. */
function codesOf(step: Entry, concepts: readonly Entry[] = []): string[] {
  const inferences = smallestPlan(step).inferences
  const problems = check({ concepts, files: { 'inference_repo.json': inferences } })
  return [...new Set(problems.map(problem => problem.code))]
}

const step = (flowIndex: string, fields: Entry): Entry => ({
  flow_info: { flow_index: flowIndex },
  inference_sequence: 'assigning',
  function_concept: '$.',
  working_interpretation: { syntax: { marker: '.', assign_source: (fields['value_concepts'] as string[])[0] } },
  ...fields,
})
const operator = { concept_name: '$.', type: '$.', is_ground_concept: true, reference_data: ['_'] }
const value = (name: string): Entry => ({ concept_name: name, type: '{}' })

describe('checks', () => {
  test('[PLAN-20] a sound plan has no problem, a broken one has all of them at once', () => {
    expect(check({})).toEqual([])
    const problems = check({
      concepts: [{ concept_name: '{x}', type: '{}}' }, value('{x}')],
      inferences: [step('2', { concept_to_infer: '{y}', value_concepts: ['{in}'], inference_sequence: 'asigning' })],
    })
    expect(problems.map(({ severity, code, path }) => [severity, code, path])).toEqual([
      ['error', 'concept.type', 'concept_repo.json#/3/type'],
      ['error', 'step.sequence', 'inference_repo.json#2'],
      ['error', 'concept.unknown', 'inference_repo.json#2'],
      ['error', 'concept.unknown', 'inference_repo.json#2'],
      ['warning', 'concept.duplicate', 'concept_repo.json#/4'],
    ])
    expect(problems[1]).toMatchObject({ hint: 'Did you mean assigning?' })
    expect(problems.every(problem => problem.message !== '' && problem.hint !== '')).toBe(true)
  })

  test('[PLAN-21] duplicates, no final concept, no step', () => {
    const again = smallestPlan().inferences
    expect(check({ inferences: again })).toMatchObject([{ code: 'step.duplicate_index', severity: 'warning' }])
    const concepts = smallestPlan().concepts.map(concept => ({ ...concept, is_final_concept: false }))
    expect(check({ files: { 'concept_repo.json': concepts } })).toMatchObject([{ code: 'plan.no_final' }])
    expect(check({ files: { 'inference_repo.json': [] } })).toMatchObject([{ code: 'plan.no_steps' }])
  })

  test('[PLAN-21] names that are not in the repository', () => {
    const [problem] = check({ inferences: smallestPlan({ value_concepts: ['{inn}'] }).inferences })
    expect(problem).toMatchObject({
      code: 'concept.unknown',
      message: 'The value concept {inn} is not in the concept repository.',
      hint: 'Did you mean {in}?',
    })
  })

  test('[PLAN-21] axes that cannot hold the data', () => {
    const axes = (data: unknown, names: readonly string[]): Entry => ({
      ...{ concept_name: '{x}', type: '{}', is_ground_concept: true },
      ...{ reference_data: data, reference_axis_names: names },
    })
    expect(check({ concepts: [axes([['a']], ['r', 'c'])] })).toEqual([])
    expect(check({ concepts: [axes([['a']], ['r'])] })).toEqual([])
    expect(check({ concepts: [axes('a', ['r'])] })).toEqual([])
    expect(check({ concepts: [axes(['a'], ['r', 'c'])] })).toMatchObject([{ code: 'concept.axes' }])
    expect(check({ concepts: [axes(['a'], ['r', 'r'])] })).toMatchObject([{ code: 'concept.axes' }])
  })

  test('[PLAN-22] composition', () => {
    expect(codesOf({ working_interpretation: { value_order: { '{in}': 1 } } })).toEqual(['step.paradigm_missing'])
    expect(codesOf({ working_interpretation: { paradigm: 'known' } })).toEqual(['step.no_values'])
    expect(codesOf({ working_interpretation: { paradigm: 'known', value_order: { '{int}': 1 } } })).toEqual([
      'step.value_order',
    ])
    const selected = { '{part}': { source_concept: '{in}', key: 'a' } }
    expect(
      codesOf({
        working_interpretation: { paradigm: 'known', value_order: { '{part}': 1 }, value_selectors: selected },
      }),
    ).toEqual([])
    expect(codesOf({ inference_sequence: 'judgement_in_composition' })).toEqual([])
    const assertion = { quantifiers: { axis: 'every' }, condition: true }
    const interpretation = { paradigm: 'known', value_order: { '{in}': 1 }, assertion_condition: assertion }
    expect(codesOf({ inference_sequence: 'judgement_in_composition', working_interpretation: interpretation })).toEqual(
      ['step.assertion'],
    )
    const empty = { concept_name: '::(none)', type: '({})', is_ground_concept: true }
    expect(codesOf({ function_concept: '::(none)' }, [empty])).toEqual(['step.function_without_data'])
  })

  test.each([
    ['grouping', {}, ['step.marker']],
    ['grouping', { marker: 'over' }, ['step.marker']],
    ['grouping', { marker: 'in' }, []],
    ['assigning', {}, ['step.marker']],
    ['assigning', { marker: '.', assign_source: '{in}' }, []],
    ['assigning', { marker: '.' }, ['step.assign_source']],
    ['assigning', { marker: '.', assign_source: ['{x}', '{in}'] }, []],
    ['assigning', { marker: '.', assign_source: '{x}' }, ['step.assign_source']],
    ['assigning', { marker: '%' }, ['step.face_value']],
    ['assigning', { marker: '%', face_value: 0 }, []],
    ['timing', { marker: 'if', condition: '{in}' }, []],
    ['timing', { marker: 'unless', condition: '{in}' }, ['step.marker']],
    ['timing', { marker: 'after', condition: '{gone}' }, ['step.condition']],
    ['looping', {}, ['step.loop_base']],
    ['looping', { LoopBaseConcept: '{in}', ConceptToInfer: ['{out}'] }, ['step.loop_current']],
    ['quantifying', { LoopBaseConcept: '{in}', CurrentLoopBaseConcept: '{c}' }, ['step.loop_result']],
  ])('[PLAN-22] %s with %j', (sequence, syntax, codes) => {
    const fields = { inference_sequence: sequence, context_concepts: ['{c}'], working_interpretation: { syntax } }
    expect(codesOf(fields, [value('{c}')])).toEqual(codes)
  })

  test('[PLAN-22] older sequences without a paradigm, and unknown ones', () => {
    expect(codesOf({ inference_sequence: 'imperative', working_interpretation: {} })).toEqual(['step.sequence'])
    expect(codesOf({ inference_sequence: 'imperative_direct' })).toEqual(['step.sequence'])
    expect(codesOf({ inference_sequence: 'output' })).toEqual(['step.sequence'])
  })

  test('[PLAN-20] a plan with thousands of unknown names is checked all the same', () => {
    const names = Array.from({ length: 1000 }, (_, n) => `{${'long name '.repeat(8)}${n}}`)
    const problems = check({
      concepts: names.map(name => value(name)),
      inferences: names.map((name, n) => step(`${n + 2}`, { concept_to_infer: `${name}?`, value_concepts: ['{in}'] })),
    })
    expect(problems.filter(problem => problem.code === 'concept.unknown')).toHaveLength(2000)
  })

  test('[PLAN-23] paradigms of plan and engine', () => {
    const [problem, ...more] = check({ options: { builtInParadigms: new Set(['knwon']) } })
    expect(problem).toMatchObject({ code: 'paradigm.unknown', severity: 'error', hint: 'Did you mean knwon?' })
    expect(more).toEqual([])
    expect(check({ files: { 'provisions/paradigms/known.json': '{}' }, options: {} })).toEqual([])
  })

  test('[PLAN-24] a value that nobody gives', () => {
    const problems = check({
      concepts: [operator, value('{a}'), value('{b}')],
      inferences: [step('2', { concept_to_infer: '{b}', value_concepts: ['{a}'] })],
    })
    expect(problems).toMatchObject([{ code: 'concept.never_given', path: 'inference_repo.json#2' }])
  })

  test('[PLAN-24] steps in a circle', () => {
    const problems = check({
      concepts: [operator, value('{a}'), value('{b}'), value('{c}')],
      inferences: [
        step('2', { concept_to_infer: '{b}', value_concepts: ['{a}'] }),
        step('3', { concept_to_infer: '{a}', value_concepts: ['{b}'] }),
        step('4', { concept_to_infer: '{c}', value_concepts: ['{b}'] }),
      ],
    })
    expect(problems).toMatchObject([{ code: 'step.cycle', severity: 'error' }])
    expect(problems[0]?.message).toContain('2 → 3')
  })

  test('[PLAN-24] what starts is not reported: inputs, loops, lists of sources, gates', () => {
    const loop = {
      inference_sequence: 'looping',
      context_concepts: ['{c}'],
      working_interpretation: {
        syntax: { marker: 'every', LoopBaseConcept: '{in}', CurrentLoopBaseConcept: '{c}', ConceptToInfer: ['{r}'] },
      },
    }
    const listed = { syntax: { marker: '.', assign_source: ['{gone}', '{r}'] } }
    const gate = { syntax: { marker: 'if', condition: '{r}' } }
    const problems = check({
      concepts: [operator, { ...operator, concept_name: '$. gated' }, { ...operator, concept_name: '*.' }].concat(
        ['{c}', '{r}', '{all}', '{gone}', '{picked}', '{given}', '{made}'].map(value) as (typeof operator)[],
      ),
      inferences: [
        step('2', { ...loop, concept_to_infer: '{all}', function_concept: '*.', value_concepts: ['{in}'] }),
        step('2.1', { concept_to_infer: '*.', value_concepts: ['{r}'] }),
        step('2.1.1', { concept_to_infer: '{r}', value_concepts: ['{c}'] }),
        step('3', { concept_to_infer: '{gone}', function_concept: '$. gated', value_concepts: ['{r}'] }),
        step('3.1', {
          ...{ concept_to_infer: '$. gated', function_concept: '$.', inference_sequence: 'timing' },
          ...{ value_concepts: ['{r}'], working_interpretation: gate },
        }),
        step('4', {
          ...{ concept_to_infer: '{picked}', value_concepts: ['{gone}', '{r}'], working_interpretation: listed },
        }),
        step('5', { concept_to_infer: '{made}', value_concepts: ['{given}'] }),
      ],
      files: { 'inputs.json': { '{given}': 1 } },
    })
    expect(problems).toEqual([])
  })

  test('[PLAN-25] a list before another value', () => {
    const grouped = step('2', {
      ...{ inference_sequence: 'grouping', concept_to_infer: '{list}', value_concepts: ['{in}', '{in2}'] },
      working_interpretation: { syntax: { marker: 'across', by_axes: [['a'], ['b']], create_axis: null } },
    })
    const given = { ...value('{in2}'), is_ground_concept: true, reference_data: ['x'] }
    const using = (place: number, selectors: Entry = {}): readonly Problem[] =>
      check({
        concepts: [operator, value('{list}'), given],
        inferences: [grouped],
        files: {
          'inference_repo.json': [
            grouped,
            ...smallestPlan({
              value_concepts: ['{list}', '{in}'],
              working_interpretation: {
                ...{ paradigm: 'known', value_order: { '{list}': place, '{in}': 2 }, value_selectors: selectors },
              },
            }).inferences,
          ],
        },
      })
    expect(using(1)).toMatchObject([{ code: 'step.list_shifts_inputs', severity: 'warning' }])
    expect(using(3)).toEqual([])
    expect(using(1, { '{list}': { packed: true } })).toEqual([])
  })

  test('[PLAN-26] files, signs and packages', () => {
    const ground = (data: string): Entry => ({ ...value('{f}'), is_ground_concept: true, reference_data: [data] })
    const codes = (data: string): string[] =>
      check({ concepts: [ground(data)], files: { 'prompts/a.md': 'x' } }).map(problem => problem.code)
    expect(codes('%{prompt_location}1a2(prompts/a.md)')).toEqual([])
    expect(codes('%{prompt_location}1a2(prompts/b.md)')).toEqual(['provision.missing'])
    expect(codes('%{save_path}(out/b.md)')).toEqual([])
    expect(codes('%{file_location}my_id(prompts/a.md)')).toEqual(['sign.unreadable'])
    expect(codes('%{truth value}(true)')).toEqual([])
    const files = { 'python_requirements.txt': 'NumPy==2\npython_pptx' }
    const asked = check({ files, options: { ...options, pythonPackages: new Set(['numpy']) } })
    expect(asked).toMatchObject([{ code: 'python.requirement', severity: 'error' }])
    expect(asked[0]?.message).toContain('python_pptx')
    expect(check({ files })).toEqual([])
  })
})

describe('limits', () => {
  const given = (data: unknown): string[] =>
    check({ concepts: [{ ...value('{x}'), is_ground_concept: true, reference_data: data }] }).map(({ code }) => code)
  const many = <T>(count: number, make: (place: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

  test('[PLAN-28] given data that would become too many cells', () => {
    expect(given(many(1000, i => [i]))).toEqual([])
    expect(given([many(1000, () => many(10, () => 1)), ...many(999, () => [])])).toEqual(['concept.too_large'])
  })

  test('[PLAN-28] a text of a plan that is too long', () => {
    const result = loadPlan(filesOf({ 'concept_repo.json': ' '.repeat(9_000_000), 'inference_repo.json': [] }))
    expect(result.problems.map(({ code }) => code)).toContain('json.too_large')
  })

  test('[PLAN-28] too many steps, or values of a step', () => {
    const steps = many(10_000, i => smallestPlan({ flow_info: { flow_index: `2.${i + 1}` } }).inferences).flat()
    expect(check({ inferences: steps })).toMatchObject([{ code: 'plan.too_large' }])
    expect(codesOf({ value_concepts: many(1001, () => '{in}') })).toEqual(['plan.too_large'])
  })

  test('[PLAN-24] a long chain in the order in which it is written is no circle', () => {
    const length = 5_000
    const links = many(length, i =>
      step(`2.${i + 1}`, { concept_to_infer: `{c${i + 1}}`, value_concepts: [i === 0 ? '{in}' : `{c${i}}`] }),
    )
    const concepts = [operator, ...many(length, i => value(`{c${i + 1}}`))]
    expect(check({ concepts, inferences: links })).toEqual([])
  })
})
