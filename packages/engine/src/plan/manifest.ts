import { PyDict, type Value } from '../value/value.ts'
import { readAgentConfig, type AgentConfig } from './agents.ts'
import { detectDialect, type Dialect } from './dialect.ts'
import { discoverPlan, type PlanLayout } from './discover.ts'
import { planInputs, planOutputs, type PlanOutput } from './declared.ts'
import { pointer } from './fields.ts'
import { joinPath, pathsUnder, folderOf, textOf, type PlanFiles } from './files.ts'
import { matchInput, parseInputs, type PlanInput, type SuppliedInput } from './inputs.ts'
import { hasErrors, problemError, problemWarning, type Problem } from './problems.ts'
import { findProvisions, parseRequirements, readParadigms, type ProvisionDirs } from './provisions.ts'
import { conceptEntries, inferenceEntries, readRepo, type ConceptEntry, type InferenceEntry } from './repositories.ts'
import { readSettings, unnamed, type PlanSettings, type Retention } from './settings.ts'

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
  readonly retention: Retention
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

/** The files that the plan was read from. */
export interface PlanSources {
  readonly manifest: string | null
  readonly concepts: string
  readonly inferences: string
  readonly inputs: string | null
}

export interface LoadOptions {
  /** The name of a plan that does not name itself; otherwise its file or folder gives one. */
  readonly fallbackName?: string
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
  const found = layout.manifest === null && options.fallbackName !== undefined
  const named = found ? { ...layout, fallbackName: options.fallbackName } : layout
  return assemble(files, { layout: named, problems, options })
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
  if (id === '') problems.push(unnamed(layout))
  const defaultInputs = readDefaultInputs(files, { layout, concepts, problems })
  const byName = conceptsByName({ concepts })
  const path = pointer(layout.manifest?.path ?? '', 'inputs')
  const inputs = planInputs({ declared: settings.inputs, concepts: byName, inferences, defaultInputs, path }, problems)
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
    outputs: planOutputs(byName, settings.outputs),
    defaultInputs,
    maxCycles: settings.maxCycles,
    retention: settings.retention,
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
  { layout, settings, problems }: { layout: PlanLayout; settings: PlanSettings; problems: Problem[] },
): AgentConfig | null {
  if (settings.agentConfig !== null) {
    const path = joinPath(layout.baseDir, settings.agentConfig) ?? settings.agentConfig
    return readAgentConfig(files, { path, problems })
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
  { layout, settings }: { layout: PlanLayout; settings: PlanSettings },
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
