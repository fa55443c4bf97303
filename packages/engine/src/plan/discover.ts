import { PyDict } from '../value/value.ts'
import { fileNameOf, folderOf, joinPath, textOf, type PlanFiles } from './files.ts'
import { pointer, readJsonText } from './fields.ts'
import { problemError, type Problem } from './problems.ts'

/** Where a package keeps its plan. Paths are relative to the package's root. */
export interface PlanLayout {
  readonly manifest: { readonly path: string; readonly dict: PyDict } | null
  /** The canvas project of the plan, alone or beside its manifest. */
  readonly project: { readonly path: string; readonly dict: PyDict } | null
  readonly concepts: string
  readonly inferences: string
  /** Null when there is none. */
  readonly inputs: string | null
  /** The folder that the plan's own paths start from; empty for the root. */
  readonly baseDir: string
  /** A name for plans that do not name themselves. */
  readonly fallbackName: string
}

interface JsonFile {
  readonly path: string
  readonly dict: PyDict
}

const provisionFolders = new Set(['provision', 'provisions'])
const projectSuffix = 'normcode-canvas.json'

/** Finds the one plan of a package; null, with the problems said, when there is none, more than one, or it is broken. */
export function discoverPlan(files: PlanFiles, problems: Problem[]): PlanLayout | null {
  const paths = [...files.keys()].filter(path => !isLitter(path)).sort()
  const manifests = planManifests(files, { paths, problems })
  if (manifests.length > 1) return several('plan.two_manifests', { what: 'manifests', found: manifests, problems })
  const projects = paths.filter(path => isProject(path)).flatMap(path => jsonFile(files, { path, problems }))
  const [manifest] = manifests
  if (manifest) return fromManifest(files, { manifest, projects, problems })
  const usable = projects.filter(({ dict }) => dict.get('repositories') instanceof PyDict)
  if (usable.length > 1) return several('plan.two_projects', { what: 'canvas projects', found: usable, problems })
  const [project] = usable
  if (project) return fromProject(files, { project, problems })
  return fromBareRepositories(files, { paths, problems })
}

// The archive programs of one operating system leave these.
function isLitter(path: string): boolean {
  return path.startsWith('__MACOSX/') || fileNameOf(path).startsWith('._')
}

function isProject(path: string): boolean {
  const name = fileNameOf(path)
  return name === projectSuffix || name.endsWith(`.${projectSuffix}`)
}

// A manifest.json below a provisions folder maps steps to resources; it is no manifest of a plan.
function planManifests(
  files: PlanFiles,
  { paths, problems }: { paths: readonly string[]; problems: Problem[] },
): JsonFile[] {
  const candidates = paths
    .filter(path => fileNameOf(path) === 'manifest.json')
    .filter(
      path =>
        !folderOf(path)
          .split('/')
          .some(folder => provisionFolders.has(folder)),
    )
    .flatMap(path => jsonFile(files, { path, problems }))
  const withEntry = candidates.filter(({ dict }) => dict.has('entry'))
  if (withEntry.length > 0) return withEntry
  const [first] = candidates.filter(({ dict }) => typeof dict.get('name') === 'string')
  return first ? [first] : []
}

function jsonFile(files: PlanFiles, { path, problems }: { path: string; problems: Problem[] }): JsonFile[] {
  const text = textOf(files, path)
  if (text === null) {
    problems.push(notText(path))
    return []
  }
  const value = readJsonText(text, { path, problems })
  return value instanceof PyDict ? [{ path, dict: value }] : []
}

function several(
  code: string,
  { what, found, problems }: { what: string; found: readonly JsonFile[]; problems: Problem[] },
): null {
  problems.push(
    problemError({
      code,
      path: found[1]?.path ?? '',
      message: `A package holds one plan; this one has several ${what}: ${found.map(({ path }) => path).join(', ')}.`,
      hint: 'Pack each plan by itself.',
    }),
  )
  return null
}

function fromManifest(
  files: PlanFiles,
  { manifest, projects, problems }: { manifest: JsonFile; projects: readonly JsonFile[]; problems: Problem[] },
): PlanLayout | null {
  const baseDir = folderOf(manifest.path)
  const at = pointer(manifest.path, 'entry')
  const entry = manifest.dict.get('entry')
  const named = entry instanceof PyDict ? entry : PyDict.from({})
  if (entry !== undefined && !(entry instanceof PyDict)) {
    problems.push(
      problemError({
        code: 'manifest.entry',
        path: at,
        message: '"entry" must be an object.',
        hint: 'Write {"concepts": "concept_repo.json", "inferences": "inference_repo.json"}.',
      }),
    )
    return null
  }
  const concepts = entryFile(files, { named, key: 'concepts', usual: 'concept_repo.json', baseDir, at, problems })
  const inferences = entryFile(files, { named, key: 'inferences', usual: 'inference_repo.json', baseDir, at, problems })
  const written = named.get('inputs') ?? null
  const inputs =
    written === null
      ? existing(files, joinPath(baseDir, 'inputs.json'))
      : entryFile(files, { named, key: 'inputs', usual: 'inputs.json', baseDir, at, problems })
  if (concepts === null || inferences === null) return null
  const project = projects.find(candidate => folderOf(candidate.path) === baseDir) ?? null
  return { manifest, project, concepts, inferences, inputs, baseDir, fallbackName: nameFromFolder(baseDir) }
}

function fromProject(
  files: PlanFiles,
  { project, problems }: { project: JsonFile; problems: Problem[] },
): PlanLayout | null {
  const baseDir = folderOf(project.path)
  const at = pointer(project.path, 'repositories')
  const repositories = project.dict.get('repositories')
  const named = repositories instanceof PyDict ? repositories : PyDict.from({})
  const concepts = entryFile(files, { named, key: 'concepts', usual: 'concept_repo.json', baseDir, at, problems })
  const inferences = entryFile(files, { named, key: 'inferences', usual: 'inference_repo.json', baseDir, at, problems })
  const written = named.get('inputs') ?? null
  const inputs =
    written === null ? null : entryFile(files, { named, key: 'inputs', usual: 'inputs.json', baseDir, at, problems })
  if (concepts === null || inferences === null) return null
  const fallbackName = fileNameOf(project.path).replace(/\.?normcode-canvas\.json$/, '') || nameFromFolder(baseDir)
  return { manifest: null, project, concepts, inferences, inputs, baseDir, fallbackName }
}

function fromBareRepositories(
  files: PlanFiles,
  { paths, problems }: { paths: readonly string[]; problems: Problem[] },
): PlanLayout | null {
  const pairs = paths.flatMap(concepts => {
    const inferences = partnerOf(concepts)
    return inferences !== null && files.has(inferences) ? [{ path: concepts, inferences }] : []
  })
  const [pair] = pairs
  if (!pair) {
    problems.push(
      problemError({
        code: 'plan.none',
        path: '',
        message: 'The package has no manifest.json, no canvas project, and no pair of repositories.',
        hint: 'Add a manifest.json with name, version and entry {concepts, inferences}.',
      }),
    )
    return null
  }
  if (pairs.length > 1) {
    problems.push(
      problemError({
        code: 'plan.two_plans',
        path: pairs[1]?.path ?? '',
        message: `Without a manifest nothing says which plan is meant: ${pairs.map(({ path }) => path).join(', ')}.`,
        hint: 'Add a manifest.json that names the repositories, or pack each plan by itself.',
      }),
    )
    return null
  }
  const folder = folderOf(pair.path)
  const baseDir = fileNameOf(folder) === 'repos' ? folderOf(folder) : folder
  const inputs = existing(files, joinPath(folder, 'inputs.json')) ?? existing(files, joinPath(baseDir, 'inputs.json'))
  const prefix = fileNameOf(pair.path).replace(/[._]?concept(_repo)?\.json$/, '')
  return {
    manifest: null,
    project: null,
    concepts: pair.path,
    inferences: pair.inferences,
    inputs,
    baseDir,
    fallbackName: prefix || nameFromFolder(baseDir),
  }
}

/** The inference repository that goes with a concept repository, by the three namings in use. */
function partnerOf(concepts: string): string | null {
  const name = fileNameOf(concepts)
  const partner = /(^|_)concept_repo\.json$/.test(name)
    ? name.replace(/concept_repo\.json$/, 'inference_repo.json')
    : /\.concept\.json$/.test(name)
      ? name.replace(/\.concept\.json$/, '.inference.json')
      : null
  return partner === null ? null : joinPath(folderOf(concepts), partner)
}

function entryFile(
  files: PlanFiles,
  at: {
    named: PyDict
    key: string
    usual: string
    baseDir: string
    at: string
    problems: Problem[]
  },
): string | null {
  const written = at.named.get(at.key) ?? at.usual
  const path = typeof written === 'string' ? joinPath(at.baseDir, written) : null
  if (path !== null && files.has(path)) return path
  at.problems.push(
    problemError({
      code: path === null && typeof written === 'string' ? 'path.outside' : 'manifest.file_missing',
      path: pointer(at.at, at.key),
      message:
        path === null && typeof written === 'string'
          ? `"${written}" leads out of the package.`
          : `The package has no file "${typeof written === 'string' ? written : at.usual}".`,
      hint: `Name the file relative to ${at.baseDir === '' ? "the package's root" : at.baseDir}, inside the package.`,
    }),
  )
  return null
}

function existing(files: PlanFiles, path: string | null): string | null {
  return path !== null && files.has(path) ? path : null
}

function nameFromFolder(folder: string): string {
  return fileNameOf(folder) || 'plan'
}

function notText(path: string): Problem {
  return problemError({
    code: 'file.encoding',
    path,
    message: 'The file is not UTF-8 text.',
    hint: 'Save it as UTF-8.',
  })
}
