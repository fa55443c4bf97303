import { deleteRun, exportRun, importRun, pruneRuns } from '@slipway/protocol/archives'
import { uploadInput } from '@slipway/protocol/inputs'
import { handle, type Handler } from '#http/handler'
import { fileReply } from '#http/reply'
import { receiveZip } from '#http/upload'
import type { InputUpload } from './input-upload.ts'
import { runOf } from './known-run.ts'
import type { Retention } from './retention.ts'
import type { RunExport } from './run-export.ts'
import type { RunImport } from './run-import.ts'

export interface ArchiveParts {
  readonly exports: RunExport
  readonly imports: RunImport
  readonly retention: Retention
  readonly uploads: InputUpload
}

export function archiveRoutes({ exports, imports, retention, uploads }: ArchiveParts): Handler[] {
  return [
    handle(exportRun, async request => fileReply(await exports.export(runOf(request), request.signal))),
    handle(importRun, ({ identity, request, query, signal }) => {
      const receive = (target: string): Promise<void> =>
        receiveZip(request, { field: 'run', maxBytes: imports.maxBytes, target, signal })
      return imports.import(receive, { organisation: identity.organisation, runId: query.run_id, signal })
    }),
    handle(deleteRun, async request => {
      await retention.delete(runOf(request))
      return { status: 'deleted' as const, run_id: request.params.id }
    }),
    handle(pruneRuns, ({ identity, body }) => retention.prune(identity, body ?? { dry_run: false, limit: 1000 })),
    handle(uploadInput, async ({ identity, params, request, signal }) => {
      const paths = await uploads.answer({ by: identity, id: params.id }, { request, signal })
      return { status: 'answered' as const, input_id: params.id, paths: [...paths] }
    }),
  ]
}
