import { answerInput, cancelInput, getInput, listInputs } from '@slipway/protocol/inputs'
import {
  getRun,
  getRunFile,
  getRunResult,
  getRunTrace,
  listRuns,
  pauseRun,
  resumeRun,
  startRun,
  stopRun,
} from '@slipway/protocol/runs'
import { handle, type Handler } from '#http/handler'
import { fileReply, page } from '#http/reply'
import { runOf } from './known-run.ts'
import { inputsOf, readBody } from './request-values.ts'
import type { Runs } from './runs.ts'

export function runRoutes(runs: Runs): Handler[] {
  return [
    handle(startRun, ({ identity, body, bodyText, headers }) =>
      runs.start(
        identity,
        { ...body, idempotency_key: body.idempotency_key ?? keyOf(headers['idempotency-key']) },
        inputsOf(readBody(bodyText)),
      ),
    ),
    handle(listRuns, async ({ identity, query, url }) => {
      const { runs: items, next } = await runs.list(identity, {
        planId: query.plan_id,
        statuses: query.status && [query.status],
        limit: query.limit,
        after: query.after,
      })
      return page([...items], { url, next })
    }),
    handle(getRun, request => runs.get(runOf(request))),
    handle(getRunResult, request => runs.result(runOf(request))),
    handle(stopRun, request => runs.stop(runOf(request), request.body?.reason ?? 'Stopped by request.')),
    handle(pauseRun, request => runs.pause(runOf(request))),
    handle(resumeRun, request => runs.resume(runOf(request))),
    handle(getRunTrace, async request => {
      const { query, url } = request
      const { after, limit, type, flow_index: flowIndex } = query
      const { calls, next } = await runs.trace(runOf(request), { after, limit, type, flowIndex })
      return page(calls, { url, next })
    }),
    handle(getRunFile, async request => fileReply(await runs.file(runOf(request), request.params['*']))),
    ...inputRoutes(runs),
  ]
}

function inputRoutes({ people }: Runs): Handler[] {
  return [
    handle(listInputs, async ({ identity, query, url }) => {
      const { run_id: runId, limit, after } = query
      const { inputs, next } = await people.open(identity, { runId, limit, after })
      return page([...inputs], { url, next })
    }),
    handle(getInput, ({ identity, params }) => people.get({ by: identity, id: params.id })),
    handle(cancelInput, async ({ identity, params, body }) => {
      await people.cancel({ by: identity, id: params.id }, body?.reason ?? 'Cancelled by request.')
      return { status: 'cancelled' as const, input_id: params.id }
    }),
    handle(answerInput, async ({ identity, params, body }) => {
      await people.answer({ by: identity, id: params.id }, body.answer)
      return { status: 'answered' as const, input_id: params.id }
    }),
  ]
}

function keyOf(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' && header !== '' ? header.slice(0, 200) : undefined
}
