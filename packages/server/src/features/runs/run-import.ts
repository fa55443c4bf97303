import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { ImportReply } from '@slipway/protocol/archives'
import { AppError } from '@slipway/protocol/errors'
import type { RunId } from '@slipway/protocol/runs'
import type { Database } from '#db/database'
import type { EventLog } from '#features/events/events'
import type { Models } from '#features/models/models'
import { unpack, type DeployedPlan, type Plans } from '#features/plans/plans'
import { workspaceName, writeNote } from './compacted-folder.ts'
import { walkFiles } from './file-walk.ts'
import { preparedPlan } from './prepared-plan.ts'
import { archiveLimits, notARun, packagePrefix } from './run-archive.ts'
import { RunFolder } from './run-folder.ts'
import { RunArchiveReader } from './run-import-read.ts'
import { replay, type Replayed } from './run-import-replay.ts'
import { ImportWriter } from './run-import-write.ts'
import { findRun, type RunRow } from './run-store.ts'

export interface RunImportDeps {
  readonly db: Database
  readonly events: EventLog
  readonly plans: Plans
  readonly models: Models
  readonly runsDir: string
  /** Of one archive. */
  readonly maxBytes: number
  readonly view: (row: RunRow) => Promise<ImportReply['run']>
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export interface ImportOptions {
  /** Whose the run becomes. */
  readonly organisation: string
  /** Another id than the run has in the archive. */
  readonly runId?: RunId | undefined
  readonly signal: AbortSignal
}

// Each may take its full size on the disk.
const mostAtOnce = 2
const abandonedMs = 24 * 60 * 60 * 1000

/**
 * Takes in runs that were exported elsewhere.
 *
 * I1. An archive is a stranger's: its zip, its lines and its package keep all rules, or it is refused.
 * I2. What it says of the run follows from its journal: it is replayed, and every record compared. Nothing is called.
 * I3. Package, files and rows are there together or not at all.
 */
export class RunImport {
  readonly #deps: RunImportDeps
  readonly #staging: string
  readonly #underWay = new Set<string>()
  #open = 0

  constructor(deps: RunImportDeps) {
    this.#deps = deps
    this.#staging = join(deps.runsDir, '.incoming')
  }

  get maxBytes(): number {
    return this.#deps.maxBytes
  }

  /** Removes what imports have left that a crash ended. */
  async tidy(): Promise<void> {
    await mkdir(this.#staging, { recursive: true })
    const isAlone = this.#deps.db.dialect === 'sqlite'
    for (const name of await readdir(this.#staging).catch(() => [])) {
      const path = join(this.#staging, name)
      const found = await stat(path).catch(() => null)
      const isOld = found !== null && Date.now() - found.mtimeMs > abandonedMs
      if ((isAlone && !this.#underWay.has(path)) || isOld) await rm(path, { recursive: true, force: true })
    }
  }

  /**
   * Resolves once the run is on disk. Throws `archive.*` for what is refused, `run.conflict` when there is a run of its
   * id, and `server.busy`.
   */
  async import(receive: (target: string) => Promise<void>, options: ImportOptions): Promise<ImportReply> {
    if (this.#open >= mostAtOnce)
      throw new AppError('server.busy', `${mostAtOnce} runs are being imported already. Try again in a moment.`)
    const folder = join(this.#staging, randomBytes(8).toString('hex'))
    this.#open++
    this.#underWay.add(folder)
    try {
      await mkdir(folder, { recursive: true })
      const file = join(folder, 'run.zip')
      await receive(file)
      const archive = join(folder, 'archive')
      await mkdir(archive)
      const paths = await unpack(file, archive, { limits: archiveLimits, signal: options.signal })
      return await this.#take(archive, paths, options)
    } finally {
      await rm(folder, { recursive: true, force: true })
      this.#underWay.delete(folder)
      this.#open--
    }
  }

  async #take(
    folder: string,
    paths: readonly string[],
    { organisation, runId, signal }: ImportOptions,
  ): Promise<ImportReply> {
    await using archive = await RunArchiveReader.open(folder)
    const id = runId ?? archive.document.run.id
    await this.#assertFree(id)
    const plan = await this.#package(archive, paths, folder)
    const prepared = await preparedPlan(plan.plan, this.#deps.models)
    const replayed = await replay(archive, { prepared, signal })
    const files = await this.#files(archive, folder)
    signal.throwIfAborted()
    const row = await this.#oneOf(id, () =>
      this.#deps.plans.adopt(plan, () => this.#put(id, { organisation, archive, replayed, files })),
    )
    return { run: await this.#deps.view(row), replayed_steps: replayed.steps }
  }

  async #package({ document }: RunArchiveReader, paths: readonly string[], folder: string): Promise<DeployedPlan> {
    const { run, dialect } = document
    const inside = paths.flatMap(path => (path.startsWith(packagePrefix) ? [path.slice(packagePrefix.length)] : []))
    const found = await this.#deps.plans
      .examine(join(folder, packagePrefix), { digest: run.plan_digest, dialect, paths: inside })
      .catch((cause: unknown) => {
        throw cause instanceof AppError ? notARun(`its package cannot be used: ${cause.message}`, cause) : cause
      })
    if (found.planId !== run.plan_id || found.version !== run.plan_version)
      throw notARun(`its package is ${found.planId} ${found.version}, not ${run.plan_id} ${run.plan_version}`)
    return found
  }

  /** The run's folder as it will be, on disk; null when the run has no files. */
  async #files({ document }: RunArchiveReader, folder: string): Promise<string | null> {
    const files = join(folder, 'files')
    const hasWorkspace = existsSync(join(files, workspaceName))
    const { removed_files: removed } = document
    if (removed === null && hasWorkspace) throw notARun('it has files of a run that never had any')
    if (removed === null && !existsSync(files)) return null
    await mkdir(files, { recursive: true })
    for (const name of await readdir(files))
      if (name !== workspaceName && name !== 'uploads') throw notARun(`files/${name} is no part of it`)
    if (removed !== null) {
      await mkdir(join(files, workspaceName), { recursive: true })
      await writeNote(files, removed)
    }
    for await (const { path } of walkFiles(files)) await sync(join(files, path))
    return files
  }

  // The id is this import's alone, on this server; between servers the database decides.
  async #oneOf<T>(id: string, work: () => Promise<T>): Promise<T> {
    if (this.#underWay.has(id)) throw conflict(id)
    this.#underWay.add(id)
    try {
      await this.#assertFree(id)
      return await work()
    } finally {
      this.#underWay.delete(id)
    }
  }

  async #put(
    id: RunId,
    parts: {
      readonly organisation: string
      readonly archive: RunArchiveReader
      readonly replayed: Replayed
      readonly files: string | null
    },
  ): Promise<RunRow> {
    const { db, runsDir } = this.#deps
    const folder = new RunFolder(runsDir, id)
    if (!(await folder.isEmpty())) await this.#clearLeftover(folder, id)
    if (parts.files !== null) await rename(parts.files, folder.path)
    try {
      const writer = new ImportWriter({ ...this.#deps, id, ...parts })
      return await db.transaction(tx => writer.write(tx))
    } catch (error) {
      const other = await findRun(db.read, id)
      if (!other) await folder.remove()
      throw other ? conflict(id) : error
    }
  }

  /** Removes a folder that no run has, unless a run may just be starting with it. */
  async #clearLeftover(folder: RunFolder, id: string): Promise<void> {
    const found = await stat(folder.path).catch(() => null)
    if (found !== null && Date.now() - found.mtimeMs < abandonedMs) throw conflict(id)
    await folder.remove()
  }

  async #assertFree(id: string): Promise<void> {
    if (await findRun(this.#deps.db.read, id)) throw conflict(id)
  }
}

function conflict(id: string): AppError {
  return new AppError('run.conflict', `The id ${id} is taken. Choose another one with \`run_id\`.`)
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}
