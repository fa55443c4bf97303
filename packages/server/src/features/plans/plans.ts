import { cp, mkdir, readdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import type { Dialect } from '@slipway/engine/plan/dialect'
import { planGraph } from '@slipway/engine/plan/graph'
import type { LoadedPlan } from '@slipway/engine/plan/manifest'
import { AppError } from '@slipway/protocol/errors'
import {
  PlanId,
  type DeployReply,
  type Digest,
  type PlanDetails,
  type PlanGraph,
  type PlanProblem,
  type PlanSummary,
} from '@slipway/protocol/plans'
import type { Database, Tx } from '#db/database'
import type { EventDraft, EventLog } from '#features/events/events'
import type { Logger } from '#observe/log'
import { packagesRemoved, planDeleted, planDeployed, planRolledBack } from '#observe/plan-log'
import { usualLimits, type ArchiveLimits } from './archive-rules.ts'
import { unpack } from './archive.ts'
import {
  digestOf,
  digestOfFolder,
  filesFolder,
  folderName,
  FolderFiles,
  listing,
  publish,
  readNotes,
  removePackage,
  type PackageFile,
} from './package-folder.ts'
import { PlanCache } from './plan-cache.ts'
import {
  activeVersion,
  countPlans,
  deletePlan,
  findVersion,
  lockVersion,
  putVersion,
  registeredDigests,
  selectActive,
  selectVersions,
  setActive,
  type VersionRef,
  type VersionRow,
} from './plan-store.ts'
import { deployReply, detailsText, detailsView, sizeOf, summaryText, summaryView } from './plan-view.ts'
import { readDeployedPlan, readNewPlan } from './reading.ts'
import { Staging } from './staging.ts'

export { checkedPath, TakenPaths, usualLimits, type ArchiveLimits } from './archive-rules.ts'
export { unpack } from './archive.ts'

/** A plan by its id, which is its organisation's own. */
export interface PlanRef {
  readonly organisation: string
  readonly planId: PlanId
}

/** What plans must know of the runs that use them. */
export interface PlanRuns {
  /** Ids of the plan's runs that are not over. */
  activeOf(plan: PlanRef): Promise<readonly string[]>
  /** Stops them and waits until they are over; gives their ids. */
  stopAllOf(plan: PlanRef, options: { readonly reason: string; readonly by: string }): Promise<readonly string[]>
  /** Whether a run that is kept, of whatever organisation, was started with this package. */
  isDigestInUse(digest: string): Promise<boolean>
}

export interface PlansDeps {
  readonly db: Database
  readonly events: EventLog
  readonly log: Logger
  readonly runs: PlanRuns
  /** Absolute. */
  readonly plansDir: string
  readonly limits?: Partial<ArchiveLimits> | undefined
  readonly defaultDialect: Dialect
  /** The Python packages of a list that scripts cannot use here. */
  readonly missingPackages: (requirements: readonly string[]) => Promise<readonly string[]>
  /** What other parts of the server warn of. */
  readonly warningsOf: (plan: LoadedPlan) => Promise<readonly PlanProblem[]>
  /** Milliseconds since 1970. */
  readonly now: () => number
}

/** A package that runs can use. It never changes. */
export interface DeployedPlan {
  readonly planId: PlanId
  readonly version: string
  readonly digest: Digest
  readonly plan: LoadedPlan
  /** Absolute path of the unpacked package. Nobody writes into it. */
  readonly folder: string
}

export interface DeployOptions {
  readonly organisation: string
  /** Check only: nothing is kept. */
  readonly dryRun: boolean
  /** Put other content in the place of a version of the same name. */
  readonly replace: boolean
  readonly signal: AbortSignal
}

interface NewPackage {
  readonly plan: LoadedPlan
  readonly problems: readonly PlanProblem[]
  readonly digest: Digest
  readonly files: readonly PackageFile[]
  /** The folder that `publish` takes. */
  readonly folder: string
}

/**
 * The registry of plans.
 *
 * P0. What is registered is an organisation's own. A package is stored once for all who have brought its whole content,
 *     which tells none of them that there are others.
 * P1. A package is stored once for each content, under its digest, and is whole and on disk before any row names it.
 * P2. A package goes when no version and no run that is kept needs it any more.
 * P3. What changes rows and packages happens one after the other, so that P2 never takes what P1 has just stored.
 */
export class Plans {
  readonly #deps: PlansDeps
  readonly #limits: ArchiveLimits
  readonly #staging: Staging
  readonly #cache = new PlanCache<DeployedPlan>(64)

  constructor(deps: PlansDeps) {
    this.#deps = deps
    this.#limits = { ...usualLimits, ...deps.limits }
    this.#staging = new Staging(deps.plansDir)
  }

  get maxArchiveBytes(): number {
    return this.#limits.archiveBytes
  }

  /** Makes the folders. No package is read. */
  async open(): Promise<void> {
    await mkdir(this.#deps.plansDir, { recursive: true })
    await this.#staging.clear({ isShared: this.#deps.db.dialect === 'postgres' })
  }

  /**
   * Deploys the package that `receive` puts into a file. Throws `archive.*`, `plan.invalid`, `plan.requirements` and
   * `plan.conflict`; nothing of a refused package stays.
   */
  async deploy(receive: (target: string) => Promise<void>, options: DeployOptions): Promise<DeployReply> {
    return this.#staging.within(async folder => {
      const archive = join(folder, 'package.zip')
      await receive(archive)
      const found = await this.#examine(archive, join(folder, 'package'), options.signal)
      if (options.dryRun) return deployReply(found, 'valid')
      return this.#exclusive(() => this.#register(found, options))
    })
  }

  async list(
    organisation: string,
    { after, limit }: { readonly after?: string | undefined; readonly limit: number },
  ): Promise<{ readonly plans: PlanSummary[]; readonly next: string | null }> {
    const rows = await selectActive(this.#deps.db.read, { organisation, after, limit: limit + 1 })
    const plans = rows.slice(0, limit).map(summaryView)
    return { plans, next: rows.length > limit ? (plans.at(-1)?.id ?? null) : null }
  }

  /** The organisation's plans, or with null those of all. */
  count(organisation: string | null): Promise<number> {
    return countPlans(this.#deps.db.read, organisation)
  }

  async get(asked: PlanRef): Promise<PlanDetails> {
    const row = await this.#row(asked)
    return detailsView(row, await selectVersions(this.#deps.db.read, asked))
  }

  async graph(asked: PlanRef, version?: string): Promise<PlanGraph> {
    const { planId, plan } = await this.load(asked, version)
    const { nodes, edges } = planGraph(plan)
    return { plan_id: planId, plan_name: plan.name, nodes: [...nodes], edges: [...edges] }
  }

  /** One file of the package, as bytes. Throws `plan.file_unknown`. */
  async file(
    asked: PlanRef,
    { path, version }: { readonly path: string; readonly version?: string | undefined },
  ): Promise<{ readonly path: string; readonly bytes: Buffer }> {
    const { plan, folder } = await this.load(asked, version)
    // Only what is listed is read, so no path can lead anywhere else.
    if (!plan.files.has(path)) {
      throw new AppError(
        'plan.file_unknown',
        `The plan has no file ${JSON.stringify(path)}. Its details list them all.`,
      )
    }
    return { path, bytes: await readFile(join(folder, path)) }
  }

  /** Makes a version that is there the active one. Throws `plan.unknown`, and `input.invalid` for an unknown version. */
  async rollback(asked: PlanRef, version: string): Promise<PlanDetails> {
    const { organisation, planId } = asked
    await this.#exclusive(async () => {
      const active = await this.#row(asked)
      const row = await findVersion(this.#deps.db.read, { ...asked, version })
      if (!row) throw new AppError('input.invalid', await this.#unknownVersion(asked, version))
      if (active.version === version) return
      await this.#deps.db.transaction(async tx => {
        await setActive(tx, { ...asked, version })
        const data = { plan_id: planId, version, digest: row.digest, status: 'rolled_back' }
        await this.#tell(tx, { organisation, event: 'plan:deployed', data })
      })
      planRolledBack(this.#deps.log, { organisation, planId, version })
    })
    return this.get(asked)
  }

  /** Undeploys a plan. Throws `plan.busy` while runs of it are not over, unless they are to be stopped. */
  async delete(
    asked: PlanRef,
    { force, by }: { readonly force: boolean; readonly by: string },
  ): Promise<{ readonly stoppedRuns: string[] }> {
    const { organisation, planId } = asked
    await this.#row(asked)
    const reason = 'The plan was undeployed.'
    const stopped = force ? await this.#deps.runs.stopAllOf(asked, { reason, by }) : []
    const digests = await this.#exclusive(async () => {
      await this.#row(asked)
      const active = await this.#deps.runs.activeOf(asked)
      if (active.length > 0) throw busy(planId, active)
      const gone = await this.#deps.db.transaction(async tx => {
        await this.#tell(tx, { organisation, event: 'plan:deleted', data: { plan_id: planId } })
        return deletePlan(tx, asked)
      })
      await this.#collect(gone)
      return gone
    })
    planDeleted(this.#deps.log, { organisation, planId, stoppedRuns: stopped.length })
    for (const digest of digests) this.#cache.delete(digest)
    return { stoppedRuns: [...stopped] }
  }

  /** The package that new runs take: of a version, else of the active one. */
  async load(asked: PlanRef, version?: string): Promise<DeployedPlan> {
    const row = await this.#row(asked, version)
    return this.loadDigest(row.digest)
  }

  /** A package by its content, which the caller knows from a row of its own, also after its plan was replaced or undeployed, as long as a run needs it. */
  loadDigest(digest: string): Promise<DeployedPlan> {
    return this.#cache.get(digest, () => this.#read(digest))
  }

  /**
   * Throws `plan.unknown` when the version has gone or has other content by now. To be asked in the transaction that
   * adds a run, so that no run is added to a package that is being removed.
   */
  async assertDeployed(
    tx: Tx,
    { organisation, plan }: { readonly organisation: string; readonly plan: DeployedPlan },
  ): Promise<void> {
    const { planId, version, digest } = plan
    const row = await lockVersion(tx, { organisation, planId, version })
    if (row?.digest !== digest) {
      throw new AppError('plan.unknown', `The plan ${planId} was changed or undeployed just now. Try again.`)
    }
  }

  /**
   * Reads the package of a run that comes from elsewhere, in a folder that is not one of the registry's. Throws
   * `plan.invalid` when it cannot be used, and `archive.invalid` when it is not the one that the run was started with.
   */
  async examine(
    folder: string,
    {
      digest,
      dialect,
      paths,
    }: { readonly digest: string; readonly dialect: Dialect; readonly paths: readonly string[] },
  ): Promise<DeployedPlan> {
    const is = await digestOf(folder, await listing(folder, paths))
    if (is !== digest)
      throw new AppError('archive.invalid', `The package has the digest ${is}, and the run was started with ${digest}.`)
    const plan = readDeployedPlan(new FolderFiles(folder, paths), dialect)
    return { planId: PlanId.parse(plan.id), version: plan.version, digest: is, plan, folder }
  }

  /**
   * Keeps the package of a run that comes from elsewhere, without deploying it, while and after `work` puts that run on
   * disk; where that fails nothing stays.
   */
  adopt<T>({ folder, digest, plan }: DeployedPlan, work: () => Promise<T>): Promise<T> {
    return this.#exclusive(async () => {
      const own = this.#staging.newPath()
      try {
        const target = this.#folderOf(digest)
        const now = new Date()
        // One that is there becomes a young one, which no other server removes.
        if (await isThere(target)) await utimes(target, now, now)
        else {
          await cp(folder, filesFolder(own), { recursive: true })
          await publish(own, target, {
            format: 1,
            dialect: plan.dialect,
            files: await listing(folder, [...plan.files.keys()]),
          })
        }
        return await work()
      } catch (error) {
        await this.#collect([digest]).catch(() => undefined)
        throw error
      } finally {
        await rm(own, { recursive: true, force: true })
      }
    })
  }

  /** Removes the package if nothing needs it any more; for when a run of it was deleted. */
  async release(digest: string): Promise<void> {
    const needed = await registeredDigests(this.#deps.db.read, [digest])
    if (!needed.has(digest)) await this.#exclusive(() => this.#collect([digest]))
  }

  /**
   * Removes every package that nothing needs: what a crash has left between two steps. One that another server may just
   * be deploying is left alone.
   */
  async collectOrphans(): Promise<void> {
    const names = await readdir(this.#deps.plansDir)
    for (const name of names) {
      const digest = digestOfFolder(name)
      const found = digest === null ? null : await stat(join(this.#deps.plansDir, name)).catch(() => null)
      if (digest === null || found === null || Date.now() - found.mtimeMs < this.#aloneMs) continue
      await this.#exclusive(() => this.#collect([digest]))
    }
  }

  // Servers on one Postgres may share the folder; on SQLite there is only this one.
  get #aloneMs(): number {
    return this.#deps.db.dialect === 'sqlite' ? 0 : 3_600_000
  }

  async #examine(archive: string, folder: string, signal: AbortSignal): Promise<NewPackage> {
    const { size } = await stat(archive)
    if (size > this.#limits.archiveBytes) {
      throw new AppError(
        'archive.too_large',
        `The archive has ${size} bytes; it may have ${this.#limits.archiveBytes}.`,
      )
    }
    const root = filesFolder(folder)
    await mkdir(root, { recursive: true })
    const paths = await unpack(archive, root, { limits: this.#limits, signal })
    const files = await listing(root, paths)
    const { plan, problems } = await readNewPlan(new FolderFiles(root, paths), this.#deps)
    return { plan, problems, files, folder, digest: await digestOf(root, files) }
  }

  async #register(found: NewPackage, { organisation, replace, signal }: DeployOptions): Promise<DeployReply> {
    const { plan, digest } = found
    const planId = PlanId.parse(plan.id)
    const version: VersionRef = { organisation, planId, version: plan.version }
    const known = await findVersion(this.#deps.db.read, version)
    if (known && known.digest !== digest && !replace) throw conflict(planId, plan.version)
    const active = await activeVersion(this.#deps.db.read, version)
    if (known?.digest === digest && active === plan.version) return deployReply(found, 'unchanged')
    signal.throwIfAborted()
    await this.#store(found)
    const status = known?.digest === digest ? 'unchanged' : 'deployed'
    await this.#deps.db.transaction(async tx => {
      if (status === 'deployed') await putVersion(tx, this.#newRow(organisation, found))
      else await setActive(tx, version)
      const data = { plan_id: planId, version: plan.version, digest, status }
      await this.#tell(tx, { organisation, event: 'plan:deployed', data })
    })
    if (known && known.digest !== digest) await this.#collect([known.digest])
    const bytes = sizeOf(found.files)
    planDeployed(this.#deps.log, { organisation, planId, version: plan.version, digest, bytes, status })
    return deployReply(found, status)
  }

  async #store({ folder, digest, files, plan }: NewPackage): Promise<void> {
    const target = this.#folderOf(digest)
    if (!(await isThere(target))) await publish(folder, target, { format: 1, dialect: plan.dialect, files })
  }

  #newRow(organisation: string, { plan, digest, files, problems }: NewPackage): VersionRow {
    return {
      organisation,
      plan_id: plan.id,
      version: plan.version,
      digest,
      name: plan.name,
      description: plan.description,
      deployed_at: Math.round(this.#deps.now()),
      size_bytes: sizeOf(files),
      summary: summaryText(plan),
      details: detailsText(plan, { files, problems }),
    }
  }

  /** Removes those of the packages that neither a version nor a run that is kept needs. */
  async #collect(digests: readonly string[]): Promise<void> {
    const removed: string[] = []
    for (const digest of digests) {
      if (await this.#isNeeded(digest)) continue
      this.#cache.delete(digest)
      const isNeeded = (): Promise<boolean> => this.#isNeeded(digest)
      await removePackage(this.#folderOf(digest), { trash: this.#staging.newPath(), isNeeded }).catch(unlessMissing)
      removed.push(digest)
    }
    if (removed.length > 0) packagesRemoved(this.#deps.log, { digests: removed })
  }

  async #isNeeded(digest: string): Promise<boolean> {
    const registered = await registeredDigests(this.#deps.db.read, [digest])
    return registered.has(digest) || (await this.#deps.runs.isDigestInUse(digest))
  }

  async #read(digest: string): Promise<DeployedPlan> {
    const packageFolder = this.#folderOf(digest)
    const notes = await readNotes(packageFolder).catch((cause: unknown) => {
      throw new AppError('plan.unknown', `The package ${digest} is not here any more. Deploy the plan again.`, {
        cause,
      })
    })
    const folder = filesFolder(packageFolder)
    const files = new FolderFiles(
      folder,
      notes.files.map(file => file.path),
    )
    const plan = readDeployedPlan(files, notes.dialect)
    return { planId: PlanId.parse(plan.id), version: plan.version, digest: digest as Digest, plan, folder }
  }

  async #row(asked: PlanRef, version?: string): Promise<VersionRow> {
    const active = await activeVersion(this.#deps.db.read, asked)
    if (active === null) {
      throw new AppError(
        'plan.unknown',
        `There is no plan ${JSON.stringify(asked.planId)}. \`slipway plans\` lists them.`,
      )
    }
    const row = await findVersion(this.#deps.db.read, { ...asked, version: version ?? active })
    if (!row) throw new AppError('plan.unknown', await this.#unknownVersion(asked, version ?? active))
    return row
  }

  async #unknownVersion(asked: PlanRef, version: string): Promise<string> {
    const known = (await selectVersions(this.#deps.db.read, asked)).map(row => row.version)
    return `The plan ${asked.planId} has no version ${JSON.stringify(version)}; it has ${known.slice(0, 20).join(', ')}.`
  }

  #tell(tx: Tx, told: Pick<EventDraft, 'organisation' | 'event' | 'data'>): Promise<void> {
    return this.#deps.events.append(tx, [{ ...told, runId: null, seq: 0, ts: this.#deps.now() }])
  }

  #folderOf(digest: string): string {
    return join(this.#deps.plansDir, folderName(digest))
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#deps.db.exclusive('plans', work)
  }
}

function conflict(planId: PlanId, version: string): AppError {
  return new AppError(
    'plan.conflict',
    `Version ${version} of ${planId} is deployed with other content. Raise the version in the manifest, or deploy with replace=true.`,
  )
}

function busy(planId: PlanId, active: readonly string[]): AppError {
  const shown = active.slice(0, 5).join(', ')
  return new AppError(
    'plan.busy',
    `${active.length} run(s) of ${planId} are not over (${shown}). Wait, stop them, or undeploy with force=true.`,
    { details: { runs: active.slice(0, 100) } },
  )
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

function unlessMissing(error: unknown): void {
  if ((error as { code?: string }).code !== 'ENOENT') throw error
}
