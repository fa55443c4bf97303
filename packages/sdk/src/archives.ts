import { api } from '@slipway/protocol/api'
import type { ImportReply, PruneReply } from '@slipway/protocol/archives'
import type { ReplyOf } from '@slipway/protocol/route'
import { asPlanId, asRunId } from './ids.ts'
import { uploadTimeoutMs, type Transport, type Waiting } from './transport.ts'

/** Which runs that are over go: what is left out is said by the plan's policy, else by the server's. */
export interface PruneOptions extends Waiting {
  readonly planId?: string | undefined
  /** Runs that ended longer ago than this. */
  readonly olderThanDays?: number | undefined
  /** How many of each plan's newest runs stay in any case. */
  readonly keep?: number | undefined
  /** Say which would go, and keep them. */
  readonly dryRun?: boolean | undefined
  /** Most runs to delete with this call. */
  readonly limit?: number | undefined
}

/** Runs as files, and their end. */
export interface ArchiveMethods {
  /**
   * A finished or paused run as one archive, as it arrives. `timeoutMs` is the longest silence. A connection that breaks
   * on the way is an error of the stream.
   */
  exportRun(id: string, options?: Waiting): Promise<ReadableStream<Uint8Array>>
  /** Takes in an exported run; it is replayed first. A `Blob` of a file is sent without being read into memory. */
  importRun(
    archive: Uint8Array | Blob,
    /** `runId`: another id, where the run's own is taken. */
    options?: { readonly runId?: string | undefined } & Waiting,
  ): Promise<ImportReply>
  /** Deletes a run that is over, with everything that belongs to it. */
  deleteRun(id: string, options?: Waiting): Promise<ReplyOf<typeof api.deleteRun>>
  pruneRuns(options?: PruneOptions): Promise<PruneReply>
}

export function archiveMethods({ call, stream }: Transport): ArchiveMethods {
  return {
    exportRun: (id, wait) => stream(api.exportRun, { params: { id: asRunId(id) }, ...wait }),
    importRun: (archive, { runId, signal, timeoutMs } = {}) =>
      call(api.importRun, {
        query: { run_id: runId === undefined ? undefined : asRunId(runId) },
        uploads: [{ field: 'run', name: 'run.zip', type: 'application/zip', content: archive }],
        signal,
        timeoutMs: timeoutMs ?? uploadTimeoutMs,
      }),
    deleteRun: (id, wait) => call(api.deleteRun, { params: { id: asRunId(id) }, ...wait }),
    pruneRuns: ({ planId, olderThanDays, keep, dryRun, limit, ...wait } = {}) =>
      call(api.pruneRuns, {
        body: {
          plan_id: planId === undefined ? undefined : asPlanId(planId),
          older_than_days: olderThanDays,
          keep,
          dry_run: dryRun,
          limit,
        },
        ...wait,
      }),
  }
}
