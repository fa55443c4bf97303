import type { Command as EngineCommand } from '@slipway/engine/run/commands'
import { PyDict, type Value } from '@slipway/engine/value/value'
import { parseJson } from '@slipway/kit/json'
import type { CommandReply } from '@slipway/protocol/debugging'
import { AppError } from '@slipway/protocol/errors'
import { knownRun, type RunRef } from './known-run.ts'
import { preparedPlan } from './prepared-plan.ts'
import type { RunControl } from './run-control.ts'
import { conceptNamed } from './run-inputs.ts'
import type { RunRow } from './run-store.ts'
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

  async breakpoints(run: RunRef): Promise<string[]> {
    return parseJson((await this.#row(run)).breakpoints) as string[]
  }

  async setBreakpoint(run: RunRef, flowIndex: string, isEnabled: boolean): Promise<CommandReply> {
    await this.#checkStep(run, flowIndex)
    return this.#ask(run, { type: isEnabled ? 'set_breakpoint' : 'clear_breakpoint', flowIndex })
  }

  clearBreakpoints(run: RunRef): Promise<CommandReply> {
    return this.#ask(run, { type: 'clear_breakpoints' })
  }

  async step(run: RunRef): Promise<CommandReply> {
    return this.#reply(await this.#deps.control.advance(run, { type: 'step' }))
  }

  async runTo(run: RunRef, flowIndex: string): Promise<CommandReply> {
    await this.#checkStep(run, flowIndex)
    return this.#reply(await this.#deps.control.advance(run, { type: 'run_to', flowIndex }))
  }

  async override(
    run: RunRef,
    concept: string,
    change: { readonly data: Value; readonly axes: readonly string[] | null; readonly rerunDependents: boolean },
  ): Promise<CommandReply> {
    const { data, axes, rerunDependents } = change
    const plan = await this.#deps.plans.loadDigest((await this.#row(run)).plan_digest)
    return this.#ask(run, {
      type: 'override',
      concept: conceptNamed(plan.plan, concept),
      value: { data, axes },
      rerunDependents,
    })
  }

  async rerun(run: RunRef, flowIndex: string): Promise<CommandReply> {
    await this.#checkStep(run, flowIndex)
    return this.#ask(run, { type: 'rerun', flowIndex })
  }

  async modify(
    run: RunRef,
    flowIndex: string,
    change: {
      readonly changes: PyDict
      readonly paradigm: string | null
      readonly prompt: string | null
      readonly retry: boolean
    },
  ): Promise<CommandReply> {
    await this.#checkStep(run, flowIndex)
    const { changes, paradigm, prompt, retry } = change
    const all = paradigm === null ? changes : PyDict.of([...changes.entries(), ['paradigm', paradigm]])
    if (all.size === 0 && prompt === null && !retry)
      throw new AppError('input.invalid', 'Nothing is to be changed. Give `paradigm`, `prompt`, `changes` or `retry`.')
    return this.#ask(run, { type: 'modify', flowIndex, changes: all, prompt, retry })
  }

  async #ask(run: RunRef, command: EngineCommand): Promise<CommandReply> {
    return this.#reply(await this.#deps.control.ask(run, { command, cancelAs: null, toStep: null }))
  }

  async #reply({ command, run }: Awaited<ReturnType<RunControl['ask']>>): Promise<CommandReply> {
    return { command, run: await this.#deps.view(run) }
  }

  async #checkStep(run: RunRef, flowIndex: string): Promise<void> {
    const { plans, models } = this.#deps
    const plan = await plans.loadDigest((await this.#row(run)).plan_digest)
    const { flowIndexes } = await preparedPlan(plan.plan, models)
    if (!flowIndexes.includes(flowIndex))
      throw new AppError('step.unknown', `The plan has no step ${flowIndex}. Its graph shows them.`)
  }

  #row(run: RunRef): Promise<RunRow> {
    return knownRun(this.#deps.db.read, run)
  }
}
