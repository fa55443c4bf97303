import {
  cancelJob,
  getJob,
  getJobPayload,
  getJobResult,
  listAttempts,
  listJobLogs,
  listJobs,
  submitJob,
} from '@slipway/protocol/jobs'
import type { Identity } from '#http/authenticate'
import { handle, type Handler } from '#http/handler'
import { page } from '#http/reply'
import type { JobRef } from './job-kind.ts'
import type { Jobs } from './jobs.ts'

export function jobRoutes(jobs: Jobs): Handler[] {
  return [
    handle(submitJob, ({ identity, body, bodyText, headers }) =>
      jobs.submit(identity, body, { bodyText, idempotencyKey: keyOf(headers['idempotency-key']) }),
    ),
    handle(listJobs, async ({ identity, query, url }) => {
      const listed = await jobs.list(identity, query)
      return page([...listed.jobs], { url, next: listed.next })
    }),
    handle(getJob, request => jobs.get(refOf(request))),
    handle(cancelJob, request => jobs.cancel(refOf(request), request.body?.reason ?? 'Cancelled by request.')),
    handle(getJobResult, request => jobs.outcome(refOf(request))),
    handle(getJobPayload, request => jobs.payload(refOf(request))),
    handle(listAttempts, request => jobs.attempts(refOf(request))),
    handle(listJobLogs, async request => {
      const { lines, next } = await jobs.logs(refOf(request), request.query)
      return page(lines, { url: request.url, next })
    }),
  ]
}

/** The job that a request names. */
export function refOf({
  identity,
  params,
}: {
  readonly identity: Identity
  readonly params: { readonly id: string }
}): JobRef {
  return { by: identity, jobId: params.id }
}

function keyOf(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' && header !== '' ? header.slice(0, 200) : undefined
}
