import { deleteRun, exportRun, importRun, pruneRuns } from '@slipway/protocol/archives'
import { uploadInput } from '@slipway/protocol/inputs'
import { handle, type Handler } from '#http/handler'
import { fileReply } from '#http/reply'
import { receiveZip } from '#http/upload'
import type { InputUpload } from './input-upload.ts'
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
    handle(exportRun, async ({ params, signal }) => fileReply(await exports.export(params.id, signal))),
    handle(importRun, ({ request, query, signal }) => {
      const receive = (target: string): Promise<void> =>
        receiveZip(request, { field: 'run', maxBytes: imports.maxBytes, target, signal })
      return imports.import(receive, { runId: query.run_id, signal })
    }),
    handle(deleteRun, async ({ params }) => {
      await retention.delete(params.id)
      return { status: 'deleted' as const, run_id: params.id }
    }),
    handle(pruneRuns, ({ body }) => retention.prune(body ?? { dry_run: false, limit: 1000 })),
    handle(uploadInput, async ({ params, request, signal }) => {
      const paths = await uploads.answer(params.id, { request, signal })
      return { status: 'answered' as const, input_id: params.id, paths: [...paths] }
    }),
  ]
}
