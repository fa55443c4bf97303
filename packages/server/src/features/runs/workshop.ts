import { join } from 'node:path'
import type { DeployedPlan } from '#features/plans/plans'
import type { PythonSession } from '#features/sandboxes/sandboxes'
import { RunFiles } from './run-files.ts'
import { RunFolder } from './run-folder.ts'
import type { RunRow } from './run-store.ts'
import type { RunsDeps } from './runs.ts'

/** The run's folder and its interpreter, made when they are first needed. */
export class Workshop {
  readonly #row: RunRow
  readonly #plan: DeployedPlan
  readonly #deps: RunsDeps
  readonly #folder: RunFolder
  #files: Promise<RunFiles> | null = null
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

  async #openFiles(): Promise<RunFiles> {
    await this.#folder.prepare(this.#plan.folder)
    const { baseDir, provisionDirs } = this.#plan.plan
    return new RunFiles({ root: this.#folder.work, baseDir, provisionDirs })
  }

  async #openSession(): Promise<PythonSession> {
    await this.files()
    const sandboxes = await this.#deps.sandboxes()
    const { runId, log } = { runId: this.#row.id, log: this.#deps.log }
    return sandboxes.open({
      folder: join(this.#folder.work, this.#plan.plan.baseDir),
      limits: this.#deps.sandboxLimits,
      onOutput: text => log.debug({ runId, text }, 'script printed'),
    })
  }
}
