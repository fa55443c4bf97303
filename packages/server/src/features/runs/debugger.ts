import type { Command as EngineCommand } from '@slipway/engine/run/commands'
import { PyDict, type Value } from '@slipway/engine/value/value'
import { parseJson } from '@slipway/kit/json'
import type { CommandReply } from '@slipway/protocol/debugging'
import { AppError } from '@slipway/protocol/errors'
import { preparedPlan } from './prepared-plan.ts'
import type { RunControl } from './run-control.ts'
import { conceptNamed } from './run-inputs.ts'
import { findRun, type RunRow } from './run-store.ts'
import type { RunsDeps } from './runs.ts'

export interface DebuggerDeps extends RunsDeps {
  readonly control: RunControl
  readonly view: (row: RunRow) => Promise<CommandReply['run']>
}

/** What people do to a run while they look for what is wrong with it. Each of these is a record of its journal. */
export class Debugger {
  readonly #deps: DebuggerDeps

  constructor(deps: DebuggerDeps) {
    this.#deps = deps
  }

  async breakpoints(runId: string): Promise<string[]> {
    return parseJson((await this.#row(runId)).breakpoints) as string[]
  }

  async setBreakpoint(runId: string, flowIndex: string, isEnabled: boolean): Promise<CommandReply> {
    await this.#checkStep(runId, flowIndex)
    return this.#ask(runId, { type: isEnabled ? 'set_breakpoint' : 'clear_breakpoint', flowIndex })
  }

  clearBreakpoints(runId: string): Promise<CommandReply> {
    return this.#ask(runId, { type: 'clear_breakpoints' })
  }

  async step(runId: string): Promise<CommandReply> {
    return this.#reply(await this.#deps.control.advance(runId, { type: 'step' }))
  }

  async runTo(runId: string, flowIndex: string): Promise<CommandReply> {
    await this.#checkStep(runId, flowIndex)
    return this.#reply(await this.#deps.control.advance(runId, { type: 'run_to', flowIndex }))
  }

  async override(
    runId: string,
    concept: string,
    change: { readonly data: Value; readonly axes: readonly string[] | null; readonly rerunDependents: boolean },
  ): Promise<CommandReply> {
    const { data, axes, rerunDependents } = change
    const plan = await this.#deps.plans.loadDigest((await this.#row(runId)).plan_digest)
    return this.#ask(runId, {
      type: 'override',
      concept: conceptNamed(plan.plan, concept),
      value: { data, axes },
      rerunDependents,
    })
  }

  async rerun(runId: string, flowIndex: string): Promise<CommandReply> {
    await this.#checkStep(runId, flowIndex)
    return this.#ask(runId, { type: 'rerun', flowIndex })
  }

  async modify(
    runId: string,
    flowIndex: string,
    change: {
      readonly changes: PyDict
      readonly paradigm: string | null
      readonly prompt: string | null
      readonly retry: boolean
    },
  ): Promise<CommandReply> {
    await this.#checkStep(runId, flowIndex)
    const { changes, paradigm, prompt, retry } = change
    const all = paradigm === null ? changes : PyDict.of([...changes.entries(), ['paradigm', paradigm]])
    if (all.size === 0 && prompt === null && !retry)
      throw new AppError('input.invalid', 'Nothing is to be changed. Give `paradigm`, `prompt`, `changes` or `retry`.')
    return this.#ask(runId, { type: 'modify', flowIndex, changes: all, prompt, retry })
  }

  async #ask(runId: string, command: EngineCommand): Promise<CommandReply> {
    return this.#reply(await this.#deps.control.ask(runId, { command, cancelAs: null, toStep: null }))
  }

  async #reply({ command, run }: Awaited<ReturnType<RunControl['ask']>>): Promise<CommandReply> {
    return { command, run: await this.#deps.view(run) }
  }

  async #checkStep(runId: string, flowIndex: string): Promise<void> {
    const { plans, models } = this.#deps
    const plan = await plans.loadDigest((await this.#row(runId)).plan_digest)
    const { flowIndexes } = await preparedPlan(plan.plan, models)
    if (!flowIndexes.includes(flowIndex))
      throw new AppError('step.unknown', `The plan has no step ${flowIndex}. Its graph shows them.`)
  }

  async #row(runId: string): Promise<RunRow> {
    const row = await findRun(this.#deps.db.read, runId)
    if (!row) throw new AppError('run.unknown', `There is no run ${runId}. \`slipway runs\` lists them.`)
    return row
  }
}
