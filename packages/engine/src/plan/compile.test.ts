import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compilePlan, compileToFiles } from './compile.ts'
import { parseForDisplay, serializeDisplay } from './ncds.ts'
import { parseNcd } from './ncd-parse.ts'
import { regenerateFlowIndices, serializeNcd } from './ncd-serialize.ts'

const text = (strings: TemplateStringsArray): string => strings.raw[0]?.replace(/^\n/, '') ?? ''

describe('lines', () => {
  test('[PLAN-30] indices by depth, written indices, comments', () => {
    const lines = parseNcd(text`
/: above all
:<:{a} | ?{flow_index}: 3.1
    <= ::(f)
    | %{norm_input}: X
        <- {deep}
    <- {b} | note
    |?{natural language}: the b
`)
    expect(lines.map(line => [line.type, line.flow_index])).toEqual([
      ['comment', null],
      ['main', '3.1'],
      ['inline_comment', '3.1'],
      ['main', '3.2'],
      ['comment', '3.2'],
      ['main', '3.2.1'],
      ['main', '3.3'],
      ['inline_comment', '3.3'],
    ])
    expect(parseNcd('<- {a} |\n|\n/: b |').map(line => line.type)).toEqual(['main', 'comment', 'comment'])
    expect(lines[6]).toMatchObject({ ncn_content: 'the b', concept_name: 'b', depth: 1 })
  })

  test.each([
    ['<- {a: "b"}<:{1}>', 'object', null, 'a: "b"'],
    ['<- [many]', 'relation', null, 'many'],
    ['<* <is it>', 'proposition', null, 'is it'],
    [':>:{given}', 'object', null, 'given'],
    ['<- :Someone:', 'subject', null, 'Someone'],
    ['<= ::(do it)', 'imperative', null, 'do it'],
    ['<= ::(is it) <For Each {x} True>', 'judgement', null, 'is it'],
    ['<= $= %>({a})', 'operator', 'identity', null],
    ['<= $% %>({a})', 'operator', 'abstraction', null],
    ['<= $- %>({a})', 'operator', 'selection', null],
    ['<= $:: %>({a})', 'operator', 'nominalization', null],
    ['<= &[#] %>[{a}]', 'operator', 'grouping', null],
    ['<= @:! (<a>)', 'operator', 'timing_conditional', null],
    ['<= @.({a})', 'operator', 'timing_completion', null],
    ['<= @:: ({a})', 'operator', 'timing_action', null],
    ['*. %>([a])', 'operator', 'looping', null],
    ['<- 数据', 'informal', null, '数据'],
    ['<- {open', 'informal', null, '{open'],
  ])('[PLAN-31] %s is %s', (line, type, operator, name) => {
    const [found] = parseNcd(line)
    expect(found).toMatchObject({ concept_type: type, operator_type: operator, concept_name: name })
    expect(found !== undefined && 'warnings' in found).toBe(type === 'informal')
  })

  test('[PLAN-32] groups by depth, ordered by index, with their comments', () => {
    const { nci } = compilePlan(text`
:<:{a}
    /: about the whole
    <= ::(f)
    <- {b}
        <= ::(g)
        <* {c}
        :>:{d}
`)
    expect(nci.map(group => group.concept_to_infer.flow_index)).toEqual(['1', '1.2'])
    expect(nci[0]?.concept_to_infer.attached_comments).toMatchObject([{ nc_comment: '/: about the whole' }])
    expect(nci[1]?.value_concepts).toEqual([])
    expect(nci[1]?.other_concepts.map(concept => concept.nc_main)).toEqual(['<* {c}', ':>:{d}'])
  })
})

describe('repositories', () => {
  const source = text`
:<:{报告}
    | %{ref_axes}: [part, _none_axis]
    <= ::(写 {a})
        | %{norm_input}: P
        | %{v_input_provision}: provisions/scripts/w.py
    <- {a}<:{2}>
        | %{file_location}: data/a.json
        | %{selector_source}: {whole}
        | %{selector_unpack}: true
    <- {mode: "fast"}<:{1}>
    <- {unbound}
        | %{literal_value}: "x"
        | %{is_invariant}: true
`
  test('[PLAN-33] ground data, axes, slugs and functions', () => {
    const { concepts } = compilePlan(source)
    expect(concepts.map(concept => [concept.id, concept.concept_name, concept.is_ground_concept])).toEqual([
      ['c-', '{报告}', false],
      ['fc-a', '::(写 {a})', true],
      ['c-a', '{a}', true],
      ['c-mode-fast', '{mode: "fast"}', true],
      ['c-unbound', '{unbound}', true],
    ])
    expect(concepts.map(concept => concept.reference_data)).toEqual([
      null,
      ['%{script_location}001(provisions/scripts/w.py)'],
      ['%{file_location}(data/a.json)'],
      ['fast'],
      ['x'],
    ])
    expect(concepts[0]).toMatchObject({ axis_name: 'part', reference_axis_names: ['part', '_none_axis'] })
    expect(concepts[4]).toMatchObject({ is_invariant: true })
  })

  test('[PLAN-34] order, selectors, output axis', () => {
    const { inferences, problems } = compilePlan(source)
    expect(inferences).toEqual([
      {
        flow_info: { flow_index: '1' },
        inference_sequence: 'imperative_in_composition',
        concept_to_infer: '{报告}',
        function_concept: '::(写 {a})',
        value_concepts: ['{a}', '{mode: "fast"}'],
        context_concepts: [],
        working_interpretation: {
          workspace: {},
          flow_info: { flow_index: '1' },
          paradigm: 'P',
          body_faculty: null,
          value_order: { '{a}': 2, '{mode: "fast"}': 1 },
          value_selectors: { '{a}': { source_concept: '{whole}', unpack: true } },
          output_axis: 'part',
        },
      },
    ])
    expect(problems).toMatchObject([{ code: 'compile.unbound_value', severity: 'warning' }])
  })

  test('[PLAN-34] the sequence is written or read off the text', () => {
    const sequence = (line: string): string | undefined =>
      compilePlan(`:<:{a}\n    <= ${line}\n    <- {b}\n`).inferences[0]?.inference_sequence
    expect(sequence('::(x)<{ALL True}>')).toBe('judgement_in_composition')
    expect(sequence('::(x)<ALL True> | ?{sequence}: judgement')).toBe('judgement_in_composition')
    expect(sequence('::(x) | ?{sequence}: imperative_python')).toBe('imperative_python')
    expect(sequence('&[{}] %>[{b}]')).toBe('grouping')
    expect(sequence('*. %>([b]) %<({a})')).toBe('looping')
    expect(sequence("@:'(<b>)")).toBe('timing')
    expect(sequence('$% %>({b})')).toBe('assigning')
    expect(sequence('nothing known')).toBeUndefined()
  })

  test('[PLAN-34] what an abstraction holds is written as signs', () => {
    const face = (literal: string): unknown =>
      compilePlan(`:<:{a}\n    <= $% %>({a})\n        | %{literal<$% a>}: ${literal}\n`).inferences[0]
        ?.working_interpretation.syntax?.['face_value']
    expect(face("[1, 'two', {'k': [True]}]")).toEqual(['%(1)', '%(two)', "%({'k': [True]})"])
    expect(face('1.0')).toBe('%(1.0)')
    expect(face('not a literal')).toBe('%(not a literal)')
  })

  test.each([
    ['', [['x'], ['_none_axis']], 'fallback_ref_axes'],
    ['inline', [['p'], ['q', 'r']], 'option_b_inline'],
    ['flat', [['p'], ['p']], 'option_c_functional'],
    ['own', [['s'], ['t']], 'option_d_per_concept'],
  ])('[PLAN-35] axes of a grouping: %s', (how, axes, origin) => {
    const own = (name: string): string => (how === 'own' ? `\n        | %{collapse_in_grouping}: [${name}]` : '')
    const { inferences } = compilePlan(`:<:[all]
    <= &[#] %>[{a}, {b}]${how === 'inline' ? ' %-[[p], [q, r]]' : ''} %+(new)
        | %{${how === 'flat' ? 'by_axes' : 'other'}}: [p]
    <- {a}
        | %{ref_axes}: [x]${own('s')}
    <- {b}${own('t')}
`)
    expect(inferences[0]?.working_interpretation.syntax).toMatchObject({
      marker: 'across',
      create_axis: 'new',
      by_axes: axes,
      by_axes_source: origin,
    })
  })

  test('[PLAN-36] a loop with a carry', () => {
    const { inferences } = compilePlan(text`
:<:[sums]
    <= *. %>([numbers]) %<({sum}) %:({number}) %@(2)
        <= $. %>({sum})
        <- {sum}
            <= ::(add)
            <- {number}
            <- {total}
    <- [numbers]
    <* {number}<$([numbers])*>
        | %{ref_axes}: [n]
    <* {total}<$([numbers])*-1>
`)
    expect(inferences[0]).toMatchObject({
      inference_sequence: 'looping',
      concept_to_infer: '[sums]',
      value_concepts: ['[numbers]'],
      context_concepts: ['{number}', '{total}'],
      working_interpretation: {
        syntax: {
          marker: 'every',
          loop_index: 2,
          LoopBaseConcept: '[numbers]',
          CurrentLoopBaseConcept: '{number}',
          CurrentLoopBaseSource: '[numbers]',
          group_base: 'n',
          ConceptToInfer: ['{sum}'],
          CarryStateConcept: '{total}',
          CarryStateSource: '[numbers]',
        },
      },
    })
    expect(inferences[1]).toMatchObject({
      flow_info: { flow_index: '1.1' },
      concept_to_infer: '*. %>([numbers]) %<({sum}) %:({number}) %@(2)',
      working_interpretation: { syntax: { marker: '.', assign_source: '{sum}' } },
    })
  })

  test('[PLAN-33] an annotation without a value is none', () => {
    const { concepts, inferences } = compilePlan(text`
:<:{a}
    <= ::(f)
        | %{norm_input}:
        | %{ norm_input }: P
    <- {b}
        | %{ref_element}:
        | %{literal_value}:
`)
    expect(inferences[0]?.working_interpretation.paradigm).toBe('P')
    expect(concepts[2]).toMatchObject({ reference_element_type: null, reference_data: null })
  })

  test.each([
    ['steps', `<= ${'::('.repeat(60_000)}`],
    ['conditions', `:<:{a}\n    <= ${"@:'(".repeat(60_000)}`],
    ['assertions', `:<:{a}\n    <= ::(f)${'<{'.repeat(60_000)}`],
    ['sources', `:<:{a}\n    <= &[#] ${'%>['.repeat(60_000)}`],
    ['contexts', `:<:{a}\n    <= *. %>([b]) %<({c})\n    <* {x}${'<$('.repeat(60_000)}`],
    ['quotes', `:<:{a}\n    <= ::(f)\n    <- {b}\n        | %{literal_value}: x${'"'.repeat(60_000)}x`],
  ])('[PLAN-43] a line full of unclosed %s is compiled', (_what, source) => {
    expect(parseNcd(source).length).toBe(source.split('\n').length)
    expect(compilePlan(source).concepts.length).toBeLessThan(4)
  })

  test('[PLAN-38] the same text, the same files', () => {
    const first = compileToFiles(source)
    expect(first.files).toEqual(compileToFiles(source).files)
    expect([...first.files.keys()]).toEqual(['plan.nci.json', 'concept_repo.json', 'inference_repo.json'])
    expect(first.files.get('concept_repo.json')).toContain('[\n  {\n    "id": "c-",\n    "concept_name": "{报告}",')
    const own = compilePlan(source, { nextId: () => 'abc' }).concepts[1]?.reference_data
    expect(own).toEqual(['%{script_location}abc(provisions/scripts/w.py)'])
  })

  test('[PLAN-39] what has no place is reported', () => {
    const { problems } = compilePlan(':<:{a}\n    <= do it\n    <- free text\n')
    expect(problems.map(({ severity, code, path }) => [severity, code, path])).toEqual([
      ['warning', 'compile.unrecognized', '1.1'],
      ['warning', 'compile.unrecognized', '1.2'],
      ['error', 'compile.no_sequence', '1.1'],
      ['error', 'compile.empty', ''],
    ])
  })
})

test('[PLAN-39] notation without effect is reported', () => {
  const { problems } = compilePlan(text`
:<:{a}
    <= ::(f)
        | %{norm_input}: P
    <- {b}<:{1}>
        | %{selector_packed}: false
    <* {c}<$([b])*-2>
`)
  expect(problems.map(({ code, path }) => [code, path])).toEqual([
    ['compile.ignored', '1.2'],
    ['compile.ignored', '1.3'],
  ])
})

test('[PLAN-33] values of one name and different brackets stay apart', () => {
  const { concepts } = compilePlan(':<:{a}\n    <= ::(f)\n    <- [b]\n    <- {b}\n')
  expect(concepts.map(concept => [concept.concept_name, concept.type])).toEqual([
    ['{a}', '{}'],
    ['::(f)', '({})'],
    ['[b]', '[]'],
    ['{b}', '{}'],
  ])
})

describe('writing back', () => {
  const pieces = [
    '{a}',
    '[b]',
    '<c>',
    '::(d)',
    '$. %>({a})',
    '/: note',
    '| %{k}: v',
    '?: why',
    'free',
    '% odd',
    'x | y',
  ]
  const line = fc.tuple(
    fc.nat(3),
    fc.constantFrom('<= ', '<- ', '<* ', ':<:', ''),
    fc.constantFrom(...pieces),
    fc.constantFrom('', ' | ?{flow_index}: 1.2', ' | note', ' | %{k}: a | b'),
  )
  const source = fc.array(line, { maxLength: 12 }).map(lines => {
    return lines.map(([depth, marker, piece, inline]) => `${'    '.repeat(depth)}${marker}${piece}${inline}`).join('\n')
  })

  test('[PLAN-40] lines written back read as the same lines', () => {
    fc.assert(
      fc.property(source, given => {
        const lines = parseNcd(given)
        expect(parseNcd(serializeNcd(lines))).toEqual(lines)
      }),
    )
    const rendered = ':<:{a} | ?{flow_index}: 1\n|?{natural language}: the a\n    <= ::(f)\n'
    expect(serializeNcd(parseNcd(rendered))).toBe(rendered)
  })

  test('[PLAN-41] numbering anew', () => {
    const lines = parseNcd(
      ':<:{a} | ?{flow_index}: 4\n    <= ::(f) | ?{flow_index}: 4.9 | ?{sequence}: imperative\n    /: x\n',
    )
    const again = regenerateFlowIndices(lines)
    expect(again.map(one => one.flow_index)).toEqual(['1', '1', '1.1', '1.1', '1.1'])
    expect(again[3]).toMatchObject({ nc_comment: '?{flow_index}: 1.1 | ?{sequence}: imperative' })
    expect(parseNcd(serializeNcd(again))).toEqual(again)
  })

  test('[PLAN-42] display keeps everything', () => {
    const draft = '/: about\r\n:<: the end   /: final\n\n    <= do it\n    <- {a} | ?{flow_index}: 1.7\n'
    const lines = parseForDisplay(draft)
    expect(serializeDisplay(lines)).toBe(draft)
    expect(lines.map(({ kind, flowIndex, text: shown, comment }) => [kind, flowIndex, shown, comment])).toEqual([
      ['comment', null, '/: about', null],
      ['concept', '1', 'the end', '/: final'],
      ['blank', null, '', null],
      ['concept', '1.1', 'do it', null],
      ['concept', '1.7', '{a}', '?{flow_index}: 1.7'],
      ['blank', null, '', null],
    ])
  })
})
