import { PyDict } from '../value/value.ts'
import { fileNameOf, folderOf, foldersIn, hasFolder, joinPath, pathsUnder, textOf, type PlanFiles } from './files.ts'

/** Kinds of provisions and the package folders that hold them, such as `prompts` → `provisions/prompts`. */
export type ProvisionDirs = ReadonlyMap<string, string>

export interface ProvisionSources {
  readonly baseDir: string
  /** The manifest's own map of kinds to folders. */
  readonly declared: PyDict | null
  /** The paradigm folder that an agent or project names, as written. */
  readonly paradigmDir: string | null
}

const roots = ['provisions', 'provision']
const paradigmKinds = ['paradigms', 'paradigm']

/** Finds the folders of a plan's provisions: what the manifest declares first, then what stands beside the paradigms. */
export function findProvisions(files: PlanFiles, sources: ProvisionSources): ProvisionDirs {
  const { baseDir, paradigmDir } = sources
  const dirs = new Map<string, string>()
  const add = (kind: string, folder: string | null): void => {
    if (folder !== null && !dirs.has(kind) && hasFolder(files, folder)) dirs.set(kind, folder)
  }
  for (const [kind, written] of declaredFolders(sources.declared)) add(kind, joinPath(baseDir, written))
  if (paradigmDir !== null) add('paradigms', joinPath(baseDir, paradigmDir))
  const known = dirs.get('paradigms')
  if (known !== undefined) addKindsIn(folderOf(known))
  for (const root of roots) addKindsIn(joinPath(baseDir, root))
  for (const kind of paradigmKinds) add('paradigms', dirs.get(kind) ?? joinPath(baseDir, kind))
  return dirs

  function addKindsIn(parent: string | null): void {
    if (parent === null) return
    for (const kind of foldersIn(files, parent)) add(kind, joinPath(parent, kind))
  }
}

function declaredFolders(declared: PyDict | null): [kind: string, written: string][] {
  return [...(declared?.entries() ?? [])].flatMap(([kind, where]): [string, string][] => {
    const written = where instanceof PyDict ? where.get('path') : where
    return typeof kind === 'string' && typeof written === 'string' ? [[kind, written]] : []
  })
}

/** Characters of all paradigms of a plan together; all of them are read before its first run. */
const mostParadigmText = 8 * 1024 * 1024

/** The plan's own paradigms: file name without `.json` to text. What goes beyond a limit is left out. */
export function readParadigms(files: PlanFiles, dirs: ProvisionDirs): ReadonlyMap<string, string> {
  const folder = dirs.get('paradigms')
  const paradigms = new Map<string, string>()
  let left = mostParadigmText
  if (folder === undefined) return paradigms
  for (const path of pathsUnder(files, folder).sort()) {
    const text = folderOf(path) === folder && path.endsWith('.json') ? textOf(files, path) : null
    left -= text?.length ?? 0
    if (text !== null && left >= 0) paradigms.set(fileNameOf(path).slice(0, -'.json'.length), text)
  }
  return paradigms
}

/**
 * Where a path that a sign holds may lie in the package, best first: as written below the base folder; with its leading
 * `provision/<kind>/` or `<kind>/` mapped to the folder of that kind; with the other of the spellings `provision` and
 * `provisions`; its file name alone in the folder of its kind.
 */
export function provisionCandidates(
  plan: { readonly baseDir: string; readonly provisionDirs: ProvisionDirs },
  written: string,
): string[] {
  const direct = joinPath(plan.baseDir, written)
  const parts = written
    .replaceAll('\\', '/')
    .split('/')
    .filter(part => part !== '' && part !== '.')
  const [first = '', second = ''] = parts
  const kind = roots.includes(first) ? second : first
  const rest = roots.includes(first) ? parts.slice(2) : parts.slice(1)
  const folder = plan.provisionDirs.get(kind) ?? plan.provisionDirs.get(kind.split('_')[0] ?? kind)
  const mapped = folder === undefined || rest.length === 0 ? [] : [joinPath(folder, rest.join('/'))]
  const spelled = roots.includes(first)
    ? [joinPath(plan.baseDir, [first === 'provision' ? 'provisions' : 'provision', ...parts.slice(1)].join('/'))]
    : []
  const byName = folder === undefined || rest.length < 2 ? [] : [joinPath(folder, rest.at(-1) ?? '')]
  return [...new Set([direct, ...mapped, ...spelled, ...byName].filter(path => path !== null))]
}

/** The file of the package that a sign's path means; null when there is none. */
export function resolveProvision(
  plan: { readonly baseDir: string; readonly provisionDirs: ProvisionDirs; readonly files: PlanFiles },
  written: string,
): string | null {
  return provisionCandidates(plan, written).find(path => plan.files.has(path)) ?? null
}

/** The Python packages that a plan asks for, one requirement each, comments dropped. */
export function parseRequirements(text: string): string[] {
  return text
    .split(/\r?\n/)
    .map(line => line.replace(/(^|\s)#.*$/, '').trim())
    .filter(line => line !== '')
}
