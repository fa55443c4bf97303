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
import { readBody } from './request-values.ts'
import type { Runs } from './runs.ts'

export function checkpointRoutes({ checkpoints, view }: Runs): Handler[] {
  return [
    handle(listCheckpoints, async ({ params, query, url }) => {
      const { after, limit, order, flow_index: flowIndex, cycle } = query
      const found = await checkpoints.list(params.run_id, { after, limit, order, flowIndex, cycle })
      return page(found.checkpoints, { url, next: found.next })
    }),
    handle(resumeCheckpoint, async ({ params, body }) => view(await checkpoints.resume(params.run_id, body ?? {}))),
    handle(forkCheckpoint, async ({ params, body, bodyText }) => {
      const read = body === undefined ? new PyDict() : readBody(bodyText)
      const given = { inputs: dictAt(read, 'inputs'), overrides: dictAt(read, 'overrides') }
      return view(await checkpoints.fork(params.run_id, body ?? {}, given))
    }),
  ]
}

export function debugRoutes(runs: Runs): Handler[] {
  const { debug } = runs
  return [
    handle(listBreakpoints, async ({ params }) => ({ breakpoints: await debug.breakpoints(params.id) })),
    handle(setBreakpoint, ({ params, body }) => debug.setBreakpoint(params.id, body.flow_index, body.enabled)),
    handle(clearBreakpoint, ({ params }) => debug.setBreakpoint(params.id, params.flow_index, false)),
    handle(clearBreakpoints, ({ params }) => debug.clearBreakpoints(params.id)),
    handle(stepRun, ({ params }) => debug.step(params.id)),
    handle(runTo, ({ params }) => debug.runTo(params.id, params.flow_index)),
    handle(overrideValue, ({ params, body, bodyText }) =>
      debug.override(params.id, params.concept, {
        data: valueAt(readBody(bodyText), 'new_value'),
        axes: body.axes ?? null,
        rerunDependents: body.rerun_dependents,
      }),
    ),
    handle(rerunFrom, ({ params }) => debug.rerun(params.id, params.flow_index)),
    handle(modifyFunction, ({ params, body, bodyText }) =>
      debug.modify(params.id, params.flow_index, {
        changes: dictAt(readBody(bodyText), 'changes'),
        paradigm: body.paradigm ?? null,
        prompt: body.prompt ?? null,
        retry: body.retry,
      }),
    ),
    handle(listCommands, ({ params }) => runs.control.commands(params.id)),
  ]
}

function valueAt(body: Value, name: string): Value {
  return body instanceof PyDict ? (body.get(name) ?? null) : null
}

function dictAt(body: Value, name: string): PyDict {
  const value = valueAt(body, name)
  return value instanceof PyDict ? value : new PyDict()
}
