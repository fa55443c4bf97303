import { AppError } from '@slipway/protocol/errors'
import type { Reader } from '#db/database'
import type { Identity } from '#http/authenticate'
import { findRunOf, type RunRow } from './run-store.ts'

/** Who asks: whose runs there are for it, and under which name what it does is kept. */
export type Caller = Pick<Identity, 'organisation' | 'subject'>

/** A run as somebody asks for it. Those of other organisations are not there. */
export interface RunRef {
  readonly by: Caller
  readonly runId: string
}

/** Throws `run.unknown`. */
export async function knownRun(reader: Reader, { by, runId }: RunRef): Promise<RunRow> {
  const row = await findRunOf(reader, { organisation: by.organisation, runId })
  if (!row) throw unknownRun(runId)
  return row
}

export function unknownRun(runId: string): AppError {
  return new AppError('run.unknown', `There is no run ${runId}. \`slipway runs\` lists them.`)
}

/** The run that a request names. */
export function runOf({
  identity,
  params,
}: {
  readonly identity: Identity
  readonly params: { readonly id: string }
}): RunRef {
  return { by: identity, runId: params.id }
}
