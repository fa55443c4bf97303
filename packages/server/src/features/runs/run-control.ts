import { sleep } from '@slipway/kit/abort'
import type { Command as EngineCommand } from '@slipway/engine/run/commands'
import { AppError } from '@slipway/protocol/errors'
import type { RunCommand } from '@slipway/protocol/debugging'
import type { Tx } from '#db/database'
import { commandRow, toRunCommand, type AskedCommand, type CancelKind } from './commands.ts'
import type { Dispatcher } from './dispatcher.ts'
import { findCommand, insertCommand, selectCommands } from './journal-store.ts'
import { selectOverdue } from './lease-store.ts'
import { knownRun, unknownRun, type Caller, type RunRef } from './known-run.ts'
import { lockRunOf, unfinished, updateRun, type RunRow } from './run-store.ts'
import { ValueWriter } from './run-values.ts'
import type { RunsDeps } from './runs.ts'

export interface RunControlDeps extends RunsDeps {
  readonly dispatcher: Dispatcher
}

const overStates = ['completed', 'failed']
// How long a request waits until the run has taken up what it asked for; it is on disk either way.
const longestWaitMs = 20_000
const lookEveryMs = 15

/** Steers runs: what is asked of a run waits on disk until whoever drives it takes it up. */
export class RunControl {
  readonly #deps: RunControlDeps

  constructor(deps: RunControlDeps) {
    this.#deps = deps
  }

  /** Ends a run. Its driver, which takes it up for that if nobody drives it, writes the end. */
  stop(run: RunRef, { reason, as }: { readonly reason: string; readonly as: CancelKind }): Promise<RunRow> {
    return this.#change(run, async (tx, row) => {
      if (overStates.includes(row.status)) throw wrongState(`The run is over: it has ${row.status}.`)
      if (row.status === 'stopping') return
      await this.#insert(tx, row, { by: run.by, command: { type: 'cancel', reason }, cancelAs: as, toStep: null })
      await updateRun(tx, row.id, { status: 'stopping' })
    })
  }

  pause(run: RunRef): Promise<RunRow> {
    return this.#change(run, async (tx, row) => {
      if (!['pending', 'running', 'waiting'].includes(row.status))
        throw wrongState(`Only a run that waits or executes can be paused; this one is ${row.status}.`)
      // One that nobody drives just stays where it is.
      const status = row.lease_until === null && row.status !== 'running' ? 'paused' : 'pausing'
      await updateRun(tx, row.id, { status })
    })
  }

  /** Puts a paused run back into the queue; one that a breakpoint or a single step holds goes on past it. */
  resume(run: RunRef): Promise<RunRow> {
    return this.#change(run, async (tx, row) => {
      if (row.status !== 'paused') throw wrongState(`Only a paused run can be resumed; this one is ${row.status}.`)
      // Answers were taken while no step could start; a replay learns from the command up to where that was so.
      if (row.held !== null || row.entries > 0)
        await this.#insert(tx, row, { by: run.by, command: { type: 'continue' }, cancelAs: null, toStep: null })
      await updateRun(tx, row.id, { status: 'pending', held: null })
    })
  }

  /** A paused run executes one step, or goes on to a step, and pauses again. */
  async advance(
    run: RunRef,
    command: Extract<EngineCommand, { type: 'step' | 'run_to' }>,
  ): Promise<{ readonly command: RunCommand; readonly run: RunRow }> {
    const id = await this.#ask(run, { command, cancelAs: null, toStep: null }, async (tx, row) => {
      if (row.status !== 'paused') throw wrongState(`Only a paused run can be stepped; this one is ${row.status}.`)
      await updateRun(tx, row.id, { status: 'pending', held: null })
    })
    return this.#carriedOut(id, run)
  }

  /**
   * Asks something of a run that any run can do: a paused one stays paused, one that is over goes on if there is
   * something to do. With `goesOn` a paused run goes on, too. Throws `run.command` when the run refuses.
   */
  async ask(
    run: RunRef,
    asked: AskedCommand,
    { goesOn = false }: { readonly goesOn?: boolean } = {},
  ): Promise<{ readonly command: RunCommand; readonly run: RunRow }> {
    const id = await this.#ask(run, asked, (tx, row) => this.#wakeFor(tx, row, { asked, goesOn }))
    return this.#carriedOut(id, run)
  }

  async commands(run: RunRef): Promise<RunCommand[]> {
    const { id } = await this.#row(run)
    return (await selectCommands(this.#deps.db.read, id)).map(toRunCommand)
  }

  /** Resolves once the run is over, wherever it is driven. */
  async over(run: RunRef): Promise<void> {
    await this.#deps.dispatcher.settled(run.runId)
    while (unfinished.includes((await this.#row(run)).status)) await sleep(lookEveryMs)
  }

  /** Ends the runs whose time is over. */
  async endOverdue(): Promise<void> {
    for (const { id, organisation } of await selectOverdue(this.#deps.db.read, this.#deps.db.dialect)) {
      await this.stop(
        { by: { organisation, subject: 'server' }, runId: id },
        { reason: 'The run took longer than its time limit.', as: 'timeout' },
      ).catch(unlessOver)
    }
  }

  async #wakeFor(
    tx: Tx,
    row: RunRow,
    { asked, goesOn }: { readonly asked: AskedCommand; readonly goesOn: boolean },
  ): Promise<void> {
    switch (row.status) {
      case 'stopping':
        throw wrongState('The run is being stopped.')
      case 'paused':
        return updateRun(tx, row.id, goesOn ? { status: 'pending', held: null } : { status: 'pausing' })
      case 'waiting':
        return updateRun(tx, row.id, { status: 'pending' })
      case 'completed':
      case 'failed':
        if (asked.command.type.includes('breakpoint')) throw wrongState(`The run is over: it has ${row.status}.`)
        return updateRun(tx, row.id, { status: 'pending', completed_at: null, deadline_at: null, error: null })
    }
  }

  async #ask(run: RunRef, asked: AskedCommand, prepare: (tx: Tx, row: RunRow) => Promise<void>): Promise<string> {
    let id = ''
    await this.#change(run, async (tx, row) => {
      await prepare(tx, row)
      id = await this.#insert(tx, row, { by: run.by, ...asked })
    })
    return id
  }

  async #insert(tx: Tx, row: RunRow, { by, ...asked }: AskedCommand & { readonly by: Caller }): Promise<string> {
    const values = new ValueWriter(row.family)
    const command = commandRow(asked, { runId: row.id, by: by.subject, now: this.#deps.now(), values })
    await insertCommand(tx, command)
    await tx.insertMissing('run_value', values.take())
    return command.id
  }

  async #carriedOut(id: string, asked: RunRef): Promise<{ readonly command: RunCommand; readonly run: RunRow }> {
    const until = performance.now() + longestWaitMs
    for (;;) {
      const row = await findCommand(this.#deps.db.read, id)
      const run = await this.#row(asked)
      if (row === undefined) throw new AppError('run.unknown', `The run ${run.id} was deleted.`)
      if (row.refusal !== null) throw new AppError('run.command', row.refusal)
      // A run that was opened for this alone is at rest again before the answer tells of it.
      const isSettled = row.applied_at !== null && run.status !== 'pausing'
      if (isSettled || performance.now() > until || this.#deps.dispatcher.isStopping)
        return { command: toRunCommand(row), run }
      await sleep(lookEveryMs)
    }
  }

  /** Changes a run while nobody else does, and wakes whoever has to know. */
  async #change(run: RunRef, change: (tx: Tx, row: RunRow) => Promise<void>): Promise<RunRow> {
    const { db } = this.#deps
    const { by, runId } = run
    await db.transaction(async tx => {
      const row = await lockRunOf(tx, { organisation: by.organisation, runId }, db.dialect)
      if (!row) throw unknownRun(runId)
      await change(tx, row)
      await db.notify(tx, 'slipway_runs', runId)
    })
    return this.#row(run)
  }

  #row(run: RunRef): Promise<RunRow> {
    return knownRun(this.#deps.db.read, run)
  }
}

function wrongState(message: string): AppError {
  return new AppError('run.state', message)
}

function unlessOver(error: unknown): void {
  if (!(error instanceof AppError) || (error.code !== 'run.state' && error.code !== 'run.unknown')) throw error
}
