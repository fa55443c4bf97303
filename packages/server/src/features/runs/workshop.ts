import { join } from 'node:path'
import type { DeployedPlan } from '#features/plans/plans'
import type { PythonSession } from '#features/sandboxes/sandboxes'
import { RunFiles } from './run-files.ts'
import { RunFolder } from './run-folder.ts'
import type { RunRow } from './run-store.ts'
import type { RunsDeps } from './runs.ts'

/** What a plan has read from a package, which never changes. */
const packageTexts = new WeakMap<DeployedPlan, Map<string, string>>()
const mostKeptTexts = 200
const longestKeptText = 64 * 1024

/** The run's folder and its interpreter, made when they are first needed. */
export class Workshop {
  readonly #row: RunRow
  readonly #plan: DeployedPlan
  readonly #deps: RunsDeps
  readonly #folder: RunFolder
  #files: Promise<RunFiles> | null = null
  #untouched: Promise<boolean> | null = null
  #session: Promise<PythonSession> | null = null

  constructor(row: RunRow, plan: DeployedPlan, deps: RunsDeps) {
    this.#row = row
    this.#plan = plan
    this.#deps = deps
    this.#folder = new RunFolder(deps.runsDir, row.id)
  }

  files(): Promise<RunFiles> {
    this.#files ??= this.#openFiles()
    return this.#files
  }

  /** The text of a file as the run has it: until a script runs or something is written, the package's own. */
  async read(path: string): Promise<string> {
    if (!(await this.#isUntouched())) return (await this.files()).read(path)
    const kept = packageTexts.get(this.#plan) ?? new Map<string, string>()
    packageTexts.set(this.#plan, kept)
    const known = kept.get(path)
    if (known !== undefined) return known
    if (await this.#hasNewFiles(path)) return (await this.files()).read(path)
    const text = await this.#packageFiles().read(path)
    if (text.length <= longestKeptText && kept.size < mostKeptTexts) kept.set(path, text)
    return text
  }

  async exists(path: string): Promise<boolean> {
    const isPackages = (await this.#isUntouched()) && !(await this.#hasNewFiles(path))
    return (isPackages ? this.#packageFiles() : await this.files()).exists(path)
  }

  python(): Promise<PythonSession> {
    this.#session ??= this.#openSession()
    return this.#session
  }

  async close(): Promise<void> {
    // A copy under way is waited for: nothing of this run works on once it is closed.
    await this.#files?.catch(() => null)
    const session = await this.#session?.catch(() => null)
    await session?.[Symbol.asyncDispose]()
  }

  // Asked once: what makes the folder in this run is this workshop.
  async #isUntouched(): Promise<boolean> {
    if (this.#files !== null) return false
    this.#untouched ??= this.#folder.isEmpty()
    return this.#untouched
  }

  // A person may have sent files meanwhile, which are not in the package.
  async #hasNewFiles(path: string): Promise<boolean> {
    if ((await this.#packageFiles().exists(path)) || (await this.#folder.isEmpty())) return false
    await this.files()
    return true
  }

  #packageFiles(): RunFiles {
    return this.#filesBelow(this.#plan.folder)
  }

  async #openFiles(): Promise<RunFiles> {
    await this.#folder.prepare(this.#plan.folder)
    return this.#filesBelow(this.#folder.workspace)
  }

  #filesBelow(root: string): RunFiles {
    const { baseDir, provisionDirs } = this.#plan.plan
    return new RunFiles({ root, baseDir, provisionDirs })
  }

  async #openSession(): Promise<PythonSession> {
    await this.files()
    const sandboxes = await this.#deps.sandboxes()
    const { runId, log } = { runId: this.#row.id, log: this.#deps.log }
    return sandboxes.open({
      folder: join(this.#folder.workspace, this.#plan.plan.baseDir),
      limits: this.#deps.sandboxLimits,
      onOutput: text => log.debug({ runId, text }, 'script printed'),
    })
  }
}
