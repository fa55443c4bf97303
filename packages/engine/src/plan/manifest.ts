import { PyDict, type Value } from '../value/value.ts'
import { readAgentConfig, type AgentConfig } from './agents.ts'
import { asDialect, detectDialect, dialects, type Dialect } from './dialect.ts'
import { discoverPlan, type PlanLayout } from './discover.ts'
import { Fields, pointer } from './fields.ts'
import { joinPath, pathsUnder, folderOf, textOf, type PlanFiles } from './files.ts'
import { bare, matchInput, parseInputs, type PlanInput, type SuppliedInput } from './inputs.ts'
import { hasErrors, problemError, problemWarning, type Problem } from './problems.ts'
import { findProvisions, parseRequirements, readParadigms, type ProvisionDirs } from './provisions.ts'
import { conceptEntries, inferenceEntries, readRepo, type ConceptEntry, type InferenceEntry } from './repositories.ts'

/** A plan as read from its package. All paths are relative to the package's root. */
export interface LoadedPlan {
  /** The plan's name made fit for a URL, see `planIdOf`. */
  readonly id: string
  readonly name: string
  readonly version: string
  readonly description: string
  readonly dialect: Dialect
  readonly dialectSource: 'manifest' | 'detected' | 'default'
  /** In file order, duplicates included; `conceptsByName` gives the ones that count. */
  readonly concepts: readonly ConceptEntry[]
  readonly inferences: readonly InferenceEntry[]
  readonly inputs: readonly PlanInput[]
  readonly outputs: readonly PlanOutput[]
  /** By exact concept name: what `inputs.json` of the package supplies unless a run says otherwise. */
  readonly defaultInputs: ReadonlyMap<string, SuppliedInput>
  readonly maxCycles: number | null
  /** The agent, or in older packages the model, that the plan was written for. */
  readonly defaultAgent: string | null
  readonly agentConfig: AgentConfig | null
  /** The plan's own paradigms: name to the text of its file. */
  readonly paradigms: ReadonlyMap<string, string>
  readonly provisionDirs: ProvisionDirs
  readonly pythonRequirements: readonly string[]
  /** The folder that the paths in signs start from; empty for the package's root. */
  readonly baseDir: string
  readonly files: PlanFiles
  readonly sources: PlanSources
}

export interface PlanOutput {
  readonly name: string
  readonly naturalName: string
  readonly description: string
}

/** The files that the plan was read from. */
export interface PlanSources {
  readonly manifest: string | null
  readonly concepts: string
  readonly inferences: string
  readonly inputs: string | null
}

export interface LoadOptions {
  /** For plans that neither name a dialect nor show one. */
  readonly defaultDialect?: Dialect
}

/** `problems` of a loaded plan are warnings; a plan that cannot be loaded has at least one error. */
export type LoadResult =
  | { readonly ok: true; readonly plan: LoadedPlan; readonly problems: readonly Problem[] }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/**
 * Reads the one plan of a package: from a `manifest.json`, else a canvas project, else a bare pair of repositories,
 * at the root or below a folder around everything.
 */
export function loadPlan(files: PlanFiles, options: LoadOptions = {}): LoadResult {
  const problems: Problem[] = []
  const layout = discoverPlan(files, problems)
  if (!layout) return { ok: false, problems }
  return assemble(files, { layout, problems, options })
}

export interface RepositoryPaths {
  readonly concepts: string
  readonly inferences: string
  readonly inputs?: string
  /** Where the paths in signs start from; the root by default. */
  readonly baseDir?: string
  readonly name?: string
  readonly paradigmDir?: string
  readonly dialect?: Dialect
}

/** Reads a plan whose repositories are named by the caller instead of a manifest. */
export function loadRepositories(files: PlanFiles, paths: RepositoryPaths): LoadResult {
  const problems: Problem[] = []
  const { baseDir = '', inputs = null, concepts, inferences } = paths
  const fallbackName = paths.name ?? 'plan'
  const dict = PyDict.of([
    ...(paths.dialect === undefined ? [] : [['dialect', paths.dialect] as const]),
    ...(paths.paradigmDir === undefined ? [] : [['paradigm_dir', paths.paradigmDir] as const]),
  ])
  const project = { path: 'options', dict: PyDict.from({ execution: dict }) }
  const layout = { manifest: null, project, concepts, inferences, inputs, baseDir, fallbackName }
  return assemble(files, { layout, problems, options: {} })
}

/**
 * A plan's id for routes: letters, marks and digits of any script, `_` and `.` inside; everything else, blanks
 * included, becomes one `-`; NFC; at most 200 UTF-16 units. Empty when nothing is left.
 */
export function planIdOf(name: string): string {
  return name
    .normalize('NFC')
    .replace(/[^\p{L}\p{M}\p{N}_.]+/gu, '-')
    .slice(0, longestId)
    .replace(/[\uD800-\uDBFF]$/, '')
    .replace(/^[-.]+|[-.]+$/g, '')
}

/** The concepts by exact name; of duplicates the later one counts. */
export function conceptsByName(plan: { readonly concepts: readonly ConceptEntry[] }): Map<string, ConceptEntry> {
  return new Map(plan.concepts.map(concept => [concept.conceptName, concept]))
}

const longestId = 200

function assemble(
  files: PlanFiles,
  { layout, problems, options }: { layout: PlanLayout; problems: Problem[]; options: LoadOptions },
): LoadResult {
  const settings = readSettings(layout, problems)
  const repo = (path: string): readonly (PyDict | null)[] =>
    readRepo(repoText(files, { path, problems }), { path, problems })
  const conceptDicts = repo(layout.concepts)
  const inferenceDicts = repo(layout.inferences)
  const detected = detectDialect(conceptDicts.filter(isDict), inferenceDicts.filter(isDict))
  const dialect = settings.dialect ?? detected ?? options.defaultDialect ?? '2026-01'
  const concepts = conceptEntries(conceptDicts, { path: layout.concepts, problems })
  const inferences = inferenceEntries(inferenceDicts, { path: layout.inferences, problems, dialect })
  const agentConfig = agentConfigOf(files, { layout, settings, problems })
  const provisionDirs = findProvisions(files, {
    baseDir: layout.baseDir,
    declared: settings.provisions,
    paradigmDir: paradigmDirOf(agentConfig) ?? settings.paradigmDir,
  })
  const id = planIdOf(settings.id)
  if (id === '') problems.push(noName(layout))
  const defaultInputs = readDefaultInputs(files, { layout, concepts, problems })
  const inputs = planInputs({ settings, layout, concepts, inferences, defaultInputs, problems })
  if (hasErrors(problems)) return { ok: false, problems }
  const plan: LoadedPlan = {
    id,
    name: settings.name,
    version: settings.version,
    description: settings.description,
    dialect,
    dialectSource: settings.dialect ? 'manifest' : detected ? 'detected' : 'default',
    concepts,
    inferences,
    inputs,
    outputs: planOutputs(concepts, settings.outputs),
    defaultInputs,
    maxCycles: settings.maxCycles,
    defaultAgent: settings.defaultAgent,
    agentConfig,
    paradigms: readParadigms(files, provisionDirs),
    provisionDirs,
    pythonRequirements: requirementsOf(files, { layout, settings }),
    baseDir: layout.baseDir,
    files,
    sources: {
      manifest: layout.manifest?.path ?? null,
      concepts: layout.concepts,
      inferences: layout.inferences,
      inputs: layout.inputs,
    },
  }
  return { ok: true, plan, problems }
}

/** What manifest and canvas project say, the manifest first. */
interface Settings {
  readonly id: string
  readonly name: string
  readonly version: string
  readonly description: string
  readonly dialect: Dialect | null
  readonly maxCycles: number | null
  readonly defaultAgent: string | null
  readonly agentConfig: string | null
  readonly paradigmDir: string | null
  readonly provisions: PyDict | null
  readonly requirements: readonly string[]
  readonly inputs: PyDict | null
  readonly outputs: PyDict | null
}

function readSettings(layout: PlanLayout, problems: Problem[]): Settings {
  const read = (file: PlanLayout['project']): [own: Fields, execution: Fields] => {
    const at = { path: file?.path ?? '', problems }
    const own = new Fields(file?.dict ?? new PyDict(), at)
    return [own, new Fields(own.dict('execution') ?? new PyDict(), { path: pointer(at.path, 'execution'), problems })]
  }
  const [manifest, execution] = read(layout.manifest)
  const [project, canvas] = read(layout.project)
  const manifestName = manifest.text('name')
  if (layout.manifest && !manifestName) problems.push(noName(layout))
  const name = manifestName ?? project.text('name') ?? layout.fallbackName
  return {
    id: manifestName ?? project.text('id') ?? name,
    name,
    version: manifest.text('version') ?? project.text('version') ?? '0.0.0',
    description: manifest.text('description') ?? project.text('description') ?? '',
    dialect: dialectOf([manifest, execution, project, canvas], layout, problems),
    maxCycles: positive(
      execution.integer('max_cycles') ?? manifest.integer('max_cycles') ?? canvas.integer('max_cycles'),
    ),
    defaultAgent: manifest.text('default_agent') ?? execution.text('default_llm') ?? canvas.text('llm_model'),
    agentConfig: manifest.text('agent_config') ?? execution.text('agent_config') ?? canvas.text('agent_config'),
    paradigmDir: canvas.text('paradigm_dir'),
    provisions: manifest.dict('provisions'),
    requirements: manifest.texts('python_requirements') ?? [],
    inputs: manifest.dict('inputs'),
    outputs: manifest.dict('outputs'),
  }
}

function dialectOf(sources: readonly Fields[], layout: PlanLayout, problems: Problem[]): Dialect | null {
  const written = sources.map(fields => fields.text('dialect')).find(text => text !== null)
  if (written === undefined) return null
  const dialect = asDialect(written)
  if (!dialect) {
    problems.push(
      problemError({
        code: 'manifest.dialect',
        path: pointer(layout.manifest?.path ?? layout.project?.path ?? '', 'dialect'),
        message: `There is no dialect "${written}".`,
        hint: `The dialects are ${dialects.join(', ')}; leave it out to have it detected.`,
      }),
    )
  }
  return dialect
}

function positive(cycles: number | null): number | null {
  return cycles !== null && cycles > 0 ? cycles : null
}

function noName(layout: PlanLayout): Problem {
  return problemError({
    code: 'manifest.name',
    path: pointer(layout.manifest?.path ?? layout.project?.path ?? layout.concepts, 'name'),
    message: 'The plan has no name that could serve as its id.',
    hint: 'Give it a "name" with at least one letter or digit.',
  })
}

function repoText(files: PlanFiles, { path, problems }: { path: string; problems: Problem[] }): string {
  const text = textOf(files, path)
  if (text !== null) return text
  problems.push(
    problemError({
      code: files.has(path) ? 'file.encoding' : 'manifest.file_missing',
      path,
      message: files.has(path) ? 'The file is not UTF-8 text.' : 'The package has no such file.',
      hint: 'Put the repository into the package as UTF-8 JSON.',
    }),
  )
  return '[]'
}

function isDict(value: Value): value is PyDict {
  return value instanceof PyDict
}

function agentConfigOf(
  files: PlanFiles,
  { layout, settings, problems }: { layout: PlanLayout; settings: Settings; problems: Problem[] },
): AgentConfig | null {
  if (settings.agentConfig !== null) {
    const path = joinPath(layout.baseDir, settings.agentConfig)
    return path === null ? null : readAgentConfig(files, { path, problems })
  }
  const [only, ...more] = pathsUnder(files, layout.baseDir).filter(
    path => path.endsWith('.agent.json') && folderOf(path) === layout.baseDir,
  )
  return only !== undefined && more.length === 0 ? readAgentConfig(files, { path: only, problems }) : null
}

function paradigmDirOf(config: AgentConfig | null): string | null {
  const chosen = config?.agents.find(agent => agent.id === config.defaultAgent) ?? config?.agents[0]
  return chosen?.paradigmDir ?? null
}

function requirementsOf(
  files: PlanFiles,
  { layout, settings }: { layout: PlanLayout; settings: Settings },
): readonly string[] {
  const path = joinPath(layout.baseDir, 'python_requirements.txt')
  const listed = path === null ? [] : parseRequirements(textOf(files, path) ?? '')
  return [...new Set([...settings.requirements, ...listed])]
}

function readDefaultInputs(
  files: PlanFiles,
  { layout, concepts, problems }: { layout: PlanLayout; concepts: readonly ConceptEntry[]; problems: Problem[] },
): Map<string, SuppliedInput> {
  const found = new Map<string, SuppliedInput>()
  if (layout.inputs === null) return found
  const parsed = parseInputs(repoText(files, { path: layout.inputs, problems }), { file: layout.inputs })
  problems.push(...parsed.problems)
  for (const [key, input] of parsed.inputs) {
    const match = matchInput({ concepts, inputs: [] }, key)
    if (match.ok) found.set(match.name, input)
    else problems.push(problemWarning({ ...match.problem, path: pointer(layout.inputs, key) }))
  }
  return found
}

function planOutputs(concepts: readonly ConceptEntry[], declared: PyDict | null): PlanOutput[] {
  const finals = concepts.filter(concept => concept.isFinal)
  return [...new Map(finals.map(concept => [concept.conceptName, concept])).values()].map(concept => ({
    name: concept.conceptName,
    naturalName: bare(concept.naturalName),
    description: describedAs(declared?.get(concept.conceptName)) ?? concept.description ?? '',
  }))
}

function describedAs(declared: Value | undefined): string | null {
  const text = declared instanceof PyDict ? declared.get('description') : null
  return typeof text === 'string' ? text : null
}

interface InputSources {
  readonly settings: Settings
  readonly layout: PlanLayout
  readonly concepts: readonly ConceptEntry[]
  readonly inferences: readonly InferenceEntry[]
  readonly defaultInputs: ReadonlyMap<string, SuppliedInput>
  readonly problems: Problem[]
}

/** The declared inputs, and every ground value that the plan itself gives no data to. */
function planInputs(sources: InputSources): PlanInput[] {
  const { settings, layout, concepts, problems } = sources
  const byName = conceptsByName({ concepts })
  const inputs = new Map<string, PlanInput>()
  for (const [key, declared] of settings.inputs?.entries() ?? []) {
    if (typeof key !== 'string' || key.startsWith('_')) continue
    const match = matchInput({ concepts, inputs: [] }, key)
    const concept = match.ok ? byName.get(match.name) : undefined
    if (concept) inputs.set(concept.conceptName, planInput(concept, { declared, sources }))
    else if (!match.ok) {
      const path = pointer(pointer(layout.manifest?.path ?? '', 'inputs'), key)
      problems.push(problemWarning({ ...match.problem, path }))
    }
  }
  for (const concept of byName.values()) {
    const given = concept.referenceData !== null && !sources.defaultInputs.has(concept.conceptName)
    if (!concept.isGround || given || inputs.has(concept.conceptName)) continue
    const input = planInput(concept, { declared: null, sources })
    if (!input.isFunction) inputs.set(concept.conceptName, input)
  }
  return [...inputs.values()]
}

function planInput(
  concept: ConceptEntry,
  { declared, sources }: { declared: Value; sources: InputSources },
): PlanInput {
  const name = concept.conceptName
  const { inferences, defaultInputs } = sources
  const isFunction =
    inferences.some(step => step.functionConcept === name) &&
    !inferences.some(step => step.valueConcepts.includes(name))
  const hasDefault = concept.referenceData !== null || defaultInputs.has(name)
  const said = declared instanceof PyDict ? declared : new PyDict()
  const type = typeof declared === 'string' ? declared : said.get('type')
  return {
    name,
    naturalName: bare(concept.naturalName),
    type: typeof type === 'string' ? type : 'any',
    required: said.get('required') !== false && !hasDefault && !isFunction,
    description: describedAs(declared) ?? concept.description ?? '',
    hasDefault,
    isFunction,
  }
}
