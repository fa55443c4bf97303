import { describe, expect, test } from 'vitest'
import { PyFloat } from '../value/value.ts'
import { conceptsByName, loadPlan, loadRepositories, planIdOf, type LoadedPlan, type LoadOptions } from './manifest.ts'
import { matchInput } from './inputs.ts'
import { parseConceptRepo, parseInferenceRepo } from './repositories.ts'
import { provisionCandidates, resolveProvision } from './provisions.ts'
import { filesOf, smallestPlan } from './testing.ts'

const { concepts, inferences } = smallestPlan()
const manifest = {
  name: 'document analysis',
  version: '1.2.0',
  description: 'Reads.',
  entry: { concepts: 'concept_repo.json', inferences: 'inference_repo.json' },
  inputs: {
    '{in}': { type: 'file', required: true, description: 'a document' },
    '::(do)': { type: 'any', required: true },
  },
  outputs: { '{out}': { description: 'the report' } },
  default_agent: 'qwen-plus',
  execution: { max_cycles: 70 },
}
const repositories = { 'concept_repo.json': concepts, 'inference_repo.json': inferences }

function loaded(contents: Readonly<Record<string, unknown>>, options: LoadOptions = {}): LoadedPlan {
  const result = loadPlan(filesOf(contents), options)
  if (!result.ok) throw new Error(JSON.stringify(result.problems))
  return result.plan
}

function codes(contents: Readonly<Record<string, unknown>>): string[] {
  return loadPlan(filesOf(contents)).problems.map(problem => problem.code)
}

describe('packages', () => {
  test('[PLAN-1] a manifest names everything', () => {
    expect(loaded({ 'manifest.json': manifest, ...repositories })).toMatchObject({
      id: 'document-analysis',
      name: 'document analysis',
      version: '1.2.0',
      description: 'Reads.',
      defaultAgent: 'qwen-plus',
      maxCycles: 70,
      baseDir: '',
      outputs: [{ name: '{out}', naturalName: 'out', description: 'the report' }],
      sources: { manifest: 'manifest.json', concepts: 'concept_repo.json', inputs: null },
    })
  })

  test('[PLAN-29] a manifest says how long runs are kept', () => {
    const retention = (given: unknown) => ({ 'manifest.json': { ...manifest, retention: given }, ...repositories })
    expect(loaded(retention({ days: 0.5, runs: 100 })).retention).toEqual({ days: 0.5, runs: 100 })
    expect(loaded(retention({ days: 0 })).retention).toEqual({ days: 0, runs: null })
    expect(loaded({ 'manifest.json': manifest, ...repositories }).retention).toEqual({ days: null, runs: null })
    expect(codes(retention({ days: -1, runs: -1 }))).toEqual(['manifest.retention', 'manifest.retention'])
    expect(codes(retention({ days: 'many' }))).toEqual(['field.type'])
    expect(codes(retention(7))).toEqual(['field.type'])
  })

  test('[PLAN-2] a canvas project with backslashes, an agent and inputs', () => {
    const plan = loaded({
      'my.normcode-canvas.json': {
        id: 'p1',
        name: 'My plan',
        repositories: { concepts: 'repos\\c.json', inferences: 'repos\\i.json', inputs: 'repos\\inputs.json' },
        execution: { max_cycles: 500, agent_config: 'my.agent.json' },
      },
      'repos/c.json': concepts,
      'repos/i.json': inferences,
      'repos/inputs.json': { '{in}': { data: [['a']], axes: ['x'] } },
      'my.agent.json': { default_agent: 'd', agents: [{ id: 'd', tools: { llm: { model: 'm' } } }] },
    })
    expect(plan).toMatchObject({ id: 'p1', name: 'My plan', maxCycles: 500, baseDir: '' })
    expect(plan.agentConfig?.agents[0]?.model).toBe('m')
    expect(plan.defaultInputs.get('{in}')).toEqual({ data: [['a']], axes: ['x'] })
  })

  test.each([
    ['repos/concept_repo.json', 'repos/inference_repo.json', '', 'plan'],
    ['repos/gold.concept.json', 'repos/gold.inference.json', '', 'gold'],
    ['a/5.2_concept_repo.json', 'a/5.2_inference_repo.json', 'a', '5.2'],
  ])('[PLAN-3] bare repositories %s', (conceptFile, inferenceFile, baseDir, name) => {
    expect(loaded({ [conceptFile]: concepts, [inferenceFile]: inferences })).toMatchObject({ baseDir, name })
  })

  test('[PLAN-3] a plan that does not name itself takes the given name', () => {
    expect(loaded(repositories, { fallbackName: 'my folder' })).toMatchObject({ id: 'my-folder' })
    expect(loaded({ 'manifest.json': manifest, ...repositories }, { fallbackName: 'x' }).name).toBe('document analysis')
  })

  test('[PLAN-3] several pairs, or none, are refused', () => {
    expect(codes({ 'a/concept_repo.json': [], 'a/inference_repo.json': [], 'b/concept_repo.json': [] })).not.toContain(
      'plan.two_plans',
    )
    expect(
      codes({
        'a/concept_repo.json': [],
        'a/inference_repo.json': [],
        'b/concept_repo.json': [],
        'b/inference_repo.json': [],
      }),
    ).toEqual(['plan.two_plans'])
    expect(codes({ 'readme.md': 'x' })).toEqual(['plan.none'])
  })

  test('[PLAN-4] a folder around everything', () => {
    const around = Object.fromEntries(
      Object.entries({ 'manifest.json': manifest, ...repositories }).map(([path, content]) => [`top/${path}`, content]),
    )
    const plan = loaded({ ...around, '__MACOSX/top/._manifest.json': 'x', 'top/provisions/prompts/a.md': 'x' })
    expect(plan).toMatchObject({ baseDir: 'top', id: 'document-analysis' })
    expect(plan.provisionDirs.get('prompts')).toBe('top/provisions/prompts')
  })

  test('[PLAN-5] the resource map of provisions is no manifest, a second manifest is refused', () => {
    const whole = { 'manifest.json': manifest, ...repositories }
    expect(codes({ ...whole, 'provisions/manifest.json': { name: 'x', entry: {} } })).toEqual([])
    const result = loadPlan(filesOf({ ...whole, 'other/manifest.json': manifest }))
    expect(result.ok).toBe(false)
    expect(result.problems).toMatchObject([{ code: 'plan.two_manifests', severity: 'error' }])
    expect(result.problems[0]?.message).toContain('manifest.json, other/manifest.json')
  })

  test('[PLAN-6] paths out of the package and missing files', () => {
    const entry = { concepts: '../secret.json', inferences: 'gone.json' }
    const { ok, problems } = loadPlan(filesOf({ 'manifest.json': { ...manifest, entry }, ...repositories }))
    expect(ok).toBe(false)
    expect(problems).toMatchObject([
      { code: 'path.outside', path: 'manifest.json#/entry/concepts' },
      { code: 'manifest.file_missing', path: 'manifest.json#/entry/inferences' },
    ])
  })

  test.each([
    ['Document Analysis', 'Document-Analysis'],
    ['黄金投资建议', '黄金投资建议'],
    ['a / b\\c', 'a-b-c'],
    ['..', ''],
    ['v1.2_x', 'v1.2_x'],
    ['e\u0301', '\u00e9'],
  ])('[PLAN-7] the id of %j is %j', (name, id) => expect(planIdOf(name)).toBe(id))

  test('[PLAN-7] a name without letters is a problem', () => {
    expect(codes({ 'manifest.json': { ...manifest, name: '///' }, ...repositories })).toEqual(['manifest.name'])
  })

  test('[PLAN-8] written, detected, default', () => {
    const dialect = (contents: Readonly<Record<string, unknown>>, options: LoadOptions = {}): string[] => {
      const plan = loaded({ 'manifest.json': manifest, ...repositories, ...contents }, options)
      return [plan.dialect, plan.dialectSource]
    }
    expect(dialect({})).toEqual(['2026-01', 'default'])
    expect(dialect({}, { defaultDialect: '2026-01-strict' })).toEqual(['2026-01-strict', 'default'])
    const traced = smallestPlan({ working_interpretation: { paradigm: 'known', output_axis: 'line' } }).inferences
    expect(dialect({ 'inference_repo.json': traced })).toEqual(['2026-03', 'detected'])
    const marked = [...concepts, { concept_name: '{x}', type: '{}', axis_name: '_none_axis', is_invariant: null }]
    expect(dialect({ 'concept_repo.json': marked })).toEqual(['2026-03', 'detected'])
    const unmarked = [...concepts, { concept_name: '{x}', type: '{}', axis_name: '_none_axis', is_invariant: false }]
    expect(dialect({ 'concept_repo.json': unmarked })).toEqual(['2026-01', 'default'])
    const written = { 'manifest.json': { ...manifest, dialect: '2026-01' }, 'inference_repo.json': traced }
    expect(dialect(written)).toEqual(['2026-01', 'manifest'])
    expect(codes({ 'manifest.json': { ...manifest, dialect: '2027' }, ...repositories })).toEqual(['manifest.dialect'])
  })

  test('[PLAN-14] declared inputs, defaults and functions', () => {
    const noData = concepts.map(concept =>
      concept['concept_name'] === '{in}' ? { ...concept, reference_data: null } : concept,
    )
    const plan = loaded({ 'manifest.json': manifest, ...repositories, 'concept_repo.json': noData })
    expect(plan.inputs).toMatchObject([
      { name: '{in}', naturalName: 'in', type: 'file', required: true, description: 'a document', isFunction: false },
      { name: '::(do)', required: false, isFunction: true },
    ])
    const bareInputs = loaded({ ...repositories, 'concept_repo.json': noData }).inputs
    expect(bareInputs).toMatchObject([{ name: '{in}', required: true, hasDefault: false }])
    expect(loaded(repositories).inputs).toEqual([])
    const supplied = loaded({ ...repositories, 'concept_repo.json': noData, 'inputs.json': { '{in}': 5 } }).inputs
    expect(supplied).toMatchObject([{ name: '{in}', required: false, hasDefault: true }])
  })

  test('[PLAN-15] provisions by kind', () => {
    const plan = loaded({
      'manifest.json': { ...manifest, provisions: { paradigms: 'provisions/paradigms' } },
      ...repositories,
      'provisions/paradigms/own.json': '{}',
      'provisions/prompts/deep/a.md': 'x',
      'provisions/prompts_chinese/b.md': 'x',
    })
    expect([...plan.paradigms]).toEqual([['own', '{}']])
    expect(resolveProvision(plan, 'provision/prompts/deep/a.md')).toBe('provisions/prompts/deep/a.md')
    expect(resolveProvision(plan, 'prompts\\deep\\a.md')).toBe('provisions/prompts/deep/a.md')
    expect(resolveProvision(plan, 'provision/prompts_chinese/b.md')).toBe('provisions/prompts_chinese/b.md')
    expect(resolveProvision(plan, 'provision/prompts/c.md')).toBeNull()
    expect(resolveProvision(plan, '../../etc/passwd')).toBeNull()
    expect(provisionCandidates(plan, 'provisions/prompts/x/a.md')).toEqual([
      'provisions/prompts/x/a.md',
      'provision/prompts/x/a.md',
      'provisions/prompts/a.md',
    ])
  })

  test.each(['x.agent.json', '../x.agent.json'])(
    '[PLAN-16] an agent configuration %s that is missing is a warning',
    path => {
      const result = loadPlan(filesOf({ 'manifest.json': { ...manifest, agent_config: path }, ...repositories }))
      expect(result).toMatchObject({ ok: true, problems: [{ code: 'agent.file_missing', severity: 'warning' }] })
    },
  )

  test('[PLAN-16] agents, tools and mappings', () => {
    const config = {
      default_agent: 'a',
      agents: [{ id: 'a', tools: { paradigm: { dir: 'own' }, python_interpreter: { enabled: false, timeout: 30 } } }],
      mappings: [{ match_type: 'flow_index', pattern: '1\\.2', agent_id: 'a', priority: 5 }],
    }
    const plan = loaded({ ...repositories, 'x.agent.json': config, 'own/p.json': '{}' })
    expect(plan.agentConfig).toMatchObject({
      defaultAgent: 'a',
      agents: [{ id: 'a', python: { enabled: false, timeoutSeconds: 30 }, fileSystem: { enabled: true } }],
      mappings: [{ matchType: 'flow_index', pattern: '1\\.2', agentId: 'a', priority: 5 }],
    })
    expect([...plan.paradigms.keys()]).toEqual(['p'])
  })

  test('[PLAN-17] requirements', () => {
    const plan = loaded({
      'manifest.json': { ...manifest, python_requirements: ['numpy'] },
      ...repositories,
      'python_requirements.txt': '# comment\nnumpy\npython-pptx>=1 # slides\n\n',
    })
    expect(plan.pythonRequirements).toEqual(['numpy', 'python-pptx>=1'])
  })

  test('[PLAN-3] repositories named by the caller', () => {
    const result = loadRepositories(filesOf({ 'x/c.json': concepts, 'x/i.json': inferences, 'x/p/own.json': '{}' }), {
      concepts: 'x/c.json',
      inferences: 'x/i.json',
      baseDir: 'x',
      paradigmDir: 'p',
      dialect: '2026-03',
      name: 'n',
    })
    expect(result).toMatchObject({ ok: true, plan: { id: 'n', dialect: '2026-03', baseDir: 'x' } })
    expect(result.ok && [...result.plan.paradigms.keys()]).toEqual(['own'])
  })
})

describe('repositories', () => {
  test('[PLAN-9] values are read without loss', () => {
    const text = '[{"concept_name":"{x}","type":"{}","reference_data":[1.0, 1, 90071992547409931, {"2":"b","1":"a"}]}]'
    const data = parseConceptRepo(text).entries[0]?.referenceData
    expect(data).toMatchObject([new PyFloat(1), 1, 90071992547409931n, {}])
    expect((data as readonly { keys(): unknown[] }[])[3]?.keys()).toEqual(['2', '1'])
  })

  test('[PLAN-10] defaults of a concept', () => {
    expect(parseConceptRepo('[{"concept_name":"{x}","type":"{}","axis_name":null}]').entries).toMatchObject([
      {
        conceptName: '{x}',
        axisName: '{x}',
        naturalName: '{x}',
        context: '',
        isGround: false,
        isFinal: false,
        isInvariant: false,
        referenceData: null,
        referenceAxisNames: null,
        flowIndices: [],
      },
    ])
    expect(parseConceptRepo('[{"concept_name":"{x}","type":"{}","axis_name":"a"}]').entries[0]?.naturalName).toBe('a')
  })

  test('[PLAN-10] start flags depend on sequence and dialect', () => {
    const repo = (sequence: string, flags = {}): string =>
      JSON.stringify([
        { inference_sequence: sequence, concept_to_infer: '{x}', flow_info: { flow_index: '1.2' }, ...flags },
      ])
    expect(parseInferenceRepo(repo('looping')).entries[0]).toMatchObject({
      flowIndex: '1.2',
      startWithoutValue: false,
      startWithoutValueOnlyOnce: true,
      startWithoutFunctionOnlyOnce: true,
      startWithoutSupportReferenceOnlyOnce: true,
      valueConcepts: [],
      functionConcept: null,
    })
    expect(parseInferenceRepo(repo('quantifying'), { dialect: '2026-03' }).entries[0]).toMatchObject({
      startWithoutValueOnlyOnce: false,
      startWithoutFunctionOnlyOnce: true,
    })
    expect(parseInferenceRepo(repo('grouping')).entries[0]).toMatchObject({ startWithoutValueOnlyOnce: false })
    const written = parseInferenceRepo(repo('looping', { start_without_value_only_once: false })).entries[0]
    expect(written).toMatchObject({ startWithoutValueOnlyOnce: false })
  })

  test('[PLAN-11] older names with a paradigm', () => {
    const sequence = (step: Readonly<Record<string, unknown>>): string | undefined =>
      parseInferenceRepo(JSON.stringify(smallestPlan(step).inferences)).entries[0]?.sequence
    expect(sequence({ inference_sequence: 'imperative' })).toBe('imperative_in_composition')
    expect(sequence({ inference_sequence: 'judgement' })).toBe('judgement_in_composition')
    expect(sequence({ inference_sequence: 'imperative', working_interpretation: {} })).toBe('imperative')
  })

  test('[PLAN-20] every broken entry is reported at its place', () => {
    const { problems } = parseConceptRepo('[{"type":"{}"}, 5, {"concept_name":"{x}","type":"{}","flow_indices":"1"}]')
    expect(problems.map(({ code, path }) => [code, path])).toEqual([
      ['repository.entry', 'concept_repo.json#/1'],
      ['field.missing', 'concept_repo.json#/0'],
      ['field.type', 'concept_repo.json#/2/flow_indices'],
    ])
    expect(parseInferenceRepo('{').problems.map(problem => problem.code)).toEqual(['json.invalid'])
    expect(parseInferenceRepo('{}').problems.map(problem => problem.code)).toEqual(['repository.not_a_list'])
  })
})

describe('inputs', () => {
  test('[PLAN-12] data with axes, raw values, comments', () => {
    const plan = loaded({
      ...repositories,
      'inputs.json': { _comment: 'x', '{in}': { _note: 'x', data: ['a'], axes: ['i'] } },
    })
    expect([...plan.defaultInputs]).toEqual([['{in}', { data: ['a'], axes: ['i'] }]])
    const unknown = loadPlan(filesOf({ ...repositories, 'inputs.json': { '{inn}': 1 } }))
    expect(unknown).toMatchObject({ ok: true, problems: [{ code: 'input.unknown', severity: 'warning' }] })
    expect(codes({ ...repositories, 'inputs.json': { '{in}': { data: [1], axes: ['a', 'a'] } } })).toEqual([
      'inputs.axes',
    ])
  })

  const named = [
    { concept_name: '{raw document}', type: '{}', is_ground_concept: true, natural_name: 'the source' },
    { concept_name: '[docs]', type: '[]', is_ground_concept: true },
    { concept_name: '{docs}', type: '{}', is_ground_concept: true },
    { concept_name: '{a-b}', type: '{}' },
  ]
  const plan = loaded({ 'concept_repo.json': [...concepts, ...named], 'inference_repo.json': inferences })

  test.each([
    ['{raw document}', '{raw document}'],
    ['raw_document', '{raw document}'],
    ['Raw-Document', '{raw document}'],
    ['the source', '{raw document}'],
    ['[docs]', '[docs]'],
    ['a_b', '{a-b}'],
  ])('[PLAN-13] %j means %j', (key, name) => expect(matchInput(plan, key)).toEqual({ ok: true, name }))

  test('[PLAN-13] ambiguous and unknown keys', () => {
    expect(matchInput(plan, 'docs')).toMatchObject({ ok: false, problem: { code: 'input.ambiguous' } })
    const inputs = [{ name: '[docs]', naturalName: '', type: 'any', required: true, description: '' }]
    const declared = inputs.map(input => ({ ...input, hasDefault: false, isFunction: false }))
    expect(matchInput({ ...plan, inputs: declared }, 'docs')).toEqual({ ok: true, name: '[docs]' })
    const missed = matchInput({ ...plan, inputs: declared }, 'dcos')
    expect(missed).toMatchObject({ ok: false, problem: { code: 'input.unknown', hint: 'Did you mean [docs]?' } })
  })

  test('[PLAN-21] of duplicate names the later entry counts', () => {
    const twice = [...concepts, { concept_name: '{in}', type: '{}', description: 'later' }]
    expect(conceptsByName(loaded({ ...repositories, 'concept_repo.json': twice })).get('{in}')?.description).toBe(
      'later',
    )
  })
})
