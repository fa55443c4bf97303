import { PyDict, type Value } from '@slipway/engine/value/value'
import { forkCheckpoint, listCheckpoints, resumeCheckpoint } from '@slipway/protocol/checkpoints'
import {
  clearBreakpoint,
  clearBreakpoints,
  listBreakpoints,
  listCommands,
  modifyFunction,
  overrideValue,
  rerunFrom,
  runTo,
  setBreakpoint,
  stepRun,
} from '@slipway/protocol/debugging'
import { handle, type Handler } from '#http/handler'
import { page } from '#http/reply'
import { runOf } from './known-run.ts'
import { readBody } from './request-values.ts'
import type { Runs } from './runs.ts'

export function checkpointRoutes({ checkpoints, view }: Runs): Handler[] {
  return [
    handle(listCheckpoints, async ({ identity, params, query, url }) => {
      const { after, limit, order, flow_index: flowIndex, cycle } = query
      const found = await checkpoints.list(
        { by: identity, runId: params.run_id },
        { after, limit, order, flowIndex, cycle },
      )
      return page(found.checkpoints, { url, next: found.next })
    }),
    handle(resumeCheckpoint, async ({ identity, params, body }) =>
      view(await checkpoints.resume({ by: identity, runId: params.run_id }, body ?? {})),
    ),
    handle(forkCheckpoint, async ({ identity, params, body, bodyText }) => {
      const read = body === undefined ? new PyDict() : readBody(bodyText)
      const given = { inputs: dictAt(read, 'inputs'), overrides: dictAt(read, 'overrides') }
      return view(await checkpoints.fork({ by: identity, runId: params.run_id }, body ?? {}, given))
    }),
  ]
}

export function debugRoutes(runs: Runs): Handler[] {
  const { debug } = runs
  return [
    handle(listBreakpoints, async request => ({ breakpoints: await debug.breakpoints(runOf(request)) })),
    handle(setBreakpoint, request => {
      const { flow_index: flowIndex, enabled } = request.body
      return debug.setBreakpoint(runOf(request), flowIndex, enabled)
    }),
    handle(clearBreakpoint, request => debug.setBreakpoint(runOf(request), request.params.flow_index, false)),
    handle(clearBreakpoints, request => debug.clearBreakpoints(runOf(request))),
    handle(stepRun, request => debug.step(runOf(request))),
    handle(runTo, request => debug.runTo(runOf(request), request.params.flow_index)),
    handle(overrideValue, request =>
      debug.override(runOf(request), request.params.concept, {
        data: valueAt(readBody(request.bodyText), 'new_value'),
        axes: request.body.axes ?? null,
        rerunDependents: request.body.rerun_dependents,
      }),
    ),
    handle(rerunFrom, request => debug.rerun(runOf(request), request.params.flow_index)),
    handle(modifyFunction, request => {
      const { params, body, bodyText } = request
      return debug.modify(runOf(request), params.flow_index, {
        changes: dictAt(readBody(bodyText), 'changes'),
        paradigm: body.paradigm ?? null,
        prompt: body.prompt ?? null,
        retry: body.retry,
      })
    }),
    handle(listCommands, request => runs.control.commands(runOf(request))),
  ]
}

function valueAt(body: Value, name: string): Value {
  return body instanceof PyDict ? (body.get(name) ?? null) : null
}

function dictAt(body: Value, name: string): PyDict {
  const value = valueAt(body, name)
  return value instanceof PyDict ? value : new PyDict()
}
