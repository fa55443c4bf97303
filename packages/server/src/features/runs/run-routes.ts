import { PyDict } from '@slipway/engine/value/value'
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
import { readBody } from './request-values.ts'
import type { Runs } from './runs.ts'

export function runRoutes(runs: Runs): Handler[] {
  return [
    handle(startRun, ({ body, bodyText, headers }) =>
      runs.start(
        { ...body, idempotency_key: body.idempotency_key ?? keyOf(headers['idempotency-key']) },
        inputsOf(bodyText),
      ),
    ),
    handle(listRuns, async ({ query, url }) => {
      const { runs: items, next } = await runs.list({
        planId: query.plan_id,
        status: query.status,
        limit: query.limit,
        after: query.after,
      })
      return page([...items], { url, next })
    }),
    handle(getRun, ({ params }) => runs.get(params.id)),
    handle(getRunResult, ({ params }) => runs.result(params.id)),
    handle(stopRun, ({ params, body }) => runs.stop(params.id, body?.reason ?? 'Stopped by request.')),
    handle(pauseRun, ({ params }) => runs.pause(params.id)),
    handle(resumeRun, ({ params }) => runs.resume(params.id)),
    handle(getRunTrace, async ({ params, query, url }) => {
      const { after, limit, type, flow_index: flowIndex } = query
      const { calls, next } = await runs.trace(params.id, { after, limit, type, flowIndex })
      return page(calls, { url, next })
    }),
    handle(getRunFile, async ({ params }) => {
      return fileReply(await runs.file(params.id, params['*']))
    }),
    ...inputRoutes(runs),
  ]
}

function inputRoutes({ people }: Runs): Handler[] {
  return [
    handle(listInputs, async ({ query, url }) => {
      const { inputs, next } = await people.open({ runId: query.run_id, limit: query.limit, after: query.after })
      return page([...inputs], { url, next })
    }),
    handle(getInput, ({ params }) => people.get(params.id)),
    handle(cancelInput, async ({ params, body }) => {
      await people.cancel(params.id, body?.reason ?? 'Cancelled by request.')
      return { status: 'cancelled' as const, input_id: params.id }
    }),
    handle(answerInput, async ({ params, body }) => {
      await people.answer(params.id, body.answer)
      return { status: 'answered' as const, input_id: params.id }
    }),
  ]
}

function keyOf(header: string | readonly string[] | undefined): string | undefined {
  return typeof header === 'string' && header !== '' ? header.slice(0, 200) : undefined
}

// Read from the text, so that `1.0`, long integers and the order of keys reach the plan as they were sent.
function inputsOf(bodyText: string): PyDict {
  const body = readBody(bodyText)
  const given = body instanceof PyDict ? (body.get('inputs') ?? body.get('ground_inputs')) : null
  return given instanceof PyDict ? given : new PyDict()
}
