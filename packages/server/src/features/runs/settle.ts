import type { Tx } from '#db/database'
import { deleteSnapshot, markCommand, selectWaitingCommands } from './journal-store.ts'
import { isAnswered } from './people.ts'
import type { DriveEnd } from './run-driver.ts'
import { lockRun, updateRun } from './run-store.ts'

export interface Settling {
  readonly end: DriveEnd
  /** Keys of the calls that the run waits for. */
  readonly openKeys: readonly string[]
  readonly now: () => number
}

/**
 * The state in which a run is left by its driver. What was asked of it since the driver looked the last time is not lost:
 * the run is then left to be taken up again. It is the last part of the driver's last transaction, behind the write of the
 * run's position, so that nobody else changes the run meanwhile.
 */
export async function settleRun(tx: Tx, runId: string, settling: Settling): Promise<void> {
  if (settling.end === 'over') return settleEnd(tx, runId, settling)
  const status = await stateOf(tx, runId, settling)
  if (status !== null) await updateRun(tx, runId, { status })
}

async function stateOf(tx: Tx, runId: string, { end, openKeys }: Settling): Promise<string | null> {
  const status = (await lockRun(tx, runId, tx.dialect))?.status
  if (status === 'stopping') return null
  const isAsked = (await selectWaitingCommands(tx.sql, runId)).length > 0
  if (end === 'paused') return isAsked ? 'pausing' : 'paused'
  if (status === 'pausing') return isAsked ? null : 'paused'
  return isAsked || (await isAnswered(tx, runId, openKeys)) ? 'pending' : 'waiting'
}

async function settleEnd(tx: Tx, runId: string, { now }: Settling): Promise<void> {
  await deleteSnapshot(tx, runId)
  const waiting = await selectWaitingCommands(tx.sql, runId)
  for (const { id, type } of waiting) {
    if (type !== 'cancel') continue
    const refusal = 'The run was over before it could be stopped.'
    await markCommand(tx, { id, n: null, starts: null, applied_at: Math.round(now()), refusal })
  }
  if (waiting.some(({ type }) => type !== 'cancel'))
    await updateRun(tx, runId, { status: 'pending', completed_at: null, error: null })
}
