import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { AppError } from '@slipway/protocol/errors'
import type { Database } from '#db/database'
import type { EventLog } from '#features/events/events'
import { checkedPath, TakenPaths, type DeployedPlan, type Plans } from '#features/plans/plans'
import { isOriginal, removedFiles } from './compacted-folder.ts'
import { walkFiles } from './file-walk.ts'
import { knownRun, type RunRef } from './known-run.ts'
import {
  archiveLimits,
  packagePrefix,
  runFile,
  uploadsPrefix,
  workspacePrefix,
  type ArchivedRun,
} from './run-archive.ts'
import { ArchiveLists, archivedRun } from './run-export-lists.ts'
import { RunFolder } from './run-folder.ts'
import { findContent, type RunRow } from './run-store.ts'
import type { Download } from './run-files.ts'

export interface RunExportDeps {
  readonly db: Database
  readonly events: EventLog
  readonly plans: Plans
  readonly runsDir: string
  /** Resolves once this server does not drive the run any more. */
  readonly settled: (runId: string) => Promise<void>
}

const restingStates = ['paused', 'waiting', 'completed', 'failed']

export type Export = Omit<Download, 'size'>

/** One entry of the archive; its content is opened when its turn comes. */
interface Entry {
  readonly path: string
  readonly open: () => Readable
}

/**
 * Puts a run that rests into one archive, as it is being sent: nothing of it is ever whole in memory. The same run gives
 * the same bytes. Throws `run.unknown` and `run.state`; a run that goes on meanwhile breaks the archive off.
 */
export class RunExport {
  readonly #deps: RunExportDeps

  constructor(deps: RunExportDeps) {
    this.#deps = deps
  }

  async export(run: RunRef, signal: AbortSignal): Promise<Export> {
    const { db, events, plans, runsDir, settled } = this.#deps
    assertRests(await this.#row(run))
    // What drove it may still be letting go of its files.
    await settled(run.runId)
    const row = await this.#row(run)
    const { id: runId } = row
    assertRests(row)
    const content = await findContent(db.read, runId)
    const plan = await plans.loadDigest(row.plan_digest)
    const folder = new RunFolder(runsDir, runId)
    const files = await this.#files(folder, plan)
    const lists = new ArchiveLists({ db, events, row, content, verify: () => this.#verify(run, row) })
    const archived = archivedRun({ row, content, dialect: plan.plan.dialect, ...files })
    await this.#verify(run, row)
    const entries: Entry[] = [
      { path: runFile, open: () => Readable.from([Buffer.from(`${JSON.stringify(archived, null, 2)}\n`)]) },
      ...[...plan.plan.files.keys()].sort().map(path => fileEntry(packagePrefix + path, join(plan.folder, path))),
      ...files.entries,
      ...lists.entries(),
    ]
    return { name: `${runId}.zip`, stream: await zipped(entries, signal) }
  }

  async #files(
    folder: RunFolder,
    { folder: packageFolder }: DeployedPlan,
  ): Promise<Pick<ArchivedRun, 'removed_files' | 'left_out'> & { readonly entries: readonly Entry[] }> {
    const copies = { runFolder: folder.path, packageFolder }
    const found: Entry[] = []
    const left_out: string[] = []
    const taken = new TakenPaths()
    for (const [prefix, root] of [
      [workspacePrefix, folder.workspace],
      [uploadsPrefix, folder.uploads],
    ] as const) {
      for await (const { path, kind } of walkFiles(root)) {
        if (root === folder.workspace && kind === 'file' && (await isOriginal(copies, path))) continue
        if (kind === 'file' && isPortable(prefix + path, taken)) found.push(fileEntry(prefix + path, join(root, path)))
        else left_out.push(prefix + path)
      }
    }
    const removed_files = (await folder.isPrepared()) ? [...(await removedFiles(copies))].sort() : null
    return { entries: found, left_out, removed_files }
  }

  /** Whoever reads an archive to its end has a run that did not change meanwhile. */
  async #verify(run: RunRef, row: RunRow): Promise<void> {
    const now = await this.#row(run)
    if (now.seq === row.seq && now.lease === row.lease && now.status === row.status) return
    throw new AppError('run.state', 'The run goes on by now. Pause it and export it again.')
  }

  #row(run: RunRef): Promise<RunRow> {
    return knownRun(this.#deps.db.read, run)
  }
}

function assertRests({ status }: RunRow): void {
  if (restingStates.includes(status)) return
  const message = `Only a run that rests can be exported; this one is ${status}. Pause it, or wait for its end.`
  throw new AppError('run.state', message)
}

// What another machine, or the import, would refuse. Names that are not Unicode are among it.
function isPortable(path: string, taken: TakenPaths): boolean {
  try {
    if (checkedPath(Buffer.from(path), archiveLimits) !== path || path.includes('\ufffd')) return false
    taken.add(path)
    return true
  } catch (error) {
    if (error instanceof AppError) return false
    throw error
  }
}

function fileEntry(path: string, place: string): Entry {
  return { path, open: () => createReadStream(place) }
}

// Archives store local wall-clock time, so it is given as that.
const packedAt = new Date(1980, 0, 1, 12)
const entryOptions = { mtime: packedAt, mode: 0o100644, forceDosTimestamp: true }

async function zipped(entries: readonly Entry[], signal: AbortSignal): Promise<Readable> {
  const { ZipFile } = await import('yazl')
  const zip = new ZipFile()
  const output = zip.outputStream as Readable
  let current: Readable | null = null
  const fail = (error: Error): void => {
    current?.destroy()
    output.destroy(error)
  }
  zip.on('error', fail)
  output.on('close', () => current?.destroy())
  signal.addEventListener('abort', () => fail(signal.reason as Error), { once: true })
  for (const { path, open } of entries) {
    zip.addReadStreamLazy(path, entryOptions, begin => {
      if (output.destroyed) return
      current = open()
      begin(null, current)
    })
  }
  zip.end()
  return output
}
