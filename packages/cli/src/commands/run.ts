import { AppError } from '@slipway/protocol/errors'
import type { Run } from '@slipway/protocol/runs'
import { Option, type Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { collectInputs } from '../inputs.ts'
import { collect, positive, seconds } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { watchToEnd } from '../watch.ts'

/** What says how a run goes, of `run` and of `fork`. */
export interface TermFlags {
  readonly maxCycles?: number
  readonly agent?: string
  readonly key?: string
  readonly timeout?: number
  readonly stepTimeout?: number
  readonly inputTimeout?: number
  readonly break: readonly string[]
}

interface RunFlags extends TermFlags {
  readonly input: readonly string[]
  readonly inputs?: string
  readonly watch?: boolean
  readonly mode?: 'parallel' | 'sequential'
  readonly planVersion?: string
}

export function addRun(program: Command, cli: Cli): void {
  const command = program
    .command('run')
    .description('Start a run of a plan.')
    .argument('<plan>', 'id of the plan')
    .option('-i, --input <name=value>', 'input: JSON or text, name=@file, or name=@- for standard input', collect, [])
    .option('--inputs <file>', 'JSON file with inputs by name; -i goes before it')
    .option('-w, --watch', 'show the run until it ends, then its result')
    .addOption(new Option('--mode <mode>', 'order of independent steps').choices(['parallel', 'sequential']))
    .option('--plan-version <version>', 'a version other than the active one')
  addTerms(command).action(cli.act(startAndShow))
}

export function addTerms(command: Command): Command {
  return command
    .option('--agent <name>', 'agent that answers the model calls')
    .option('--max-cycles <n>', 'give up after so many cycles', positive)
    .option('--timeout <time>', 'end the run when it is not done after this time: 90, 15m, 2h, 30d', seconds)
    .option('--step-timeout <time>', 'longest time for the calls of one step', seconds)
    .option('--input-timeout <time>', 'how long a question to a person stays open', seconds)
    .option('--break <step>', 'pause before this step (flow index); may be given several times', collect, [])
    .option('--key <key>', 'idempotency key: the same key starts one run, however often it is sent')
}

/** The terms as requests have them. */
export function termsOf(flags: TermFlags): {
  readonly agent: string | undefined
  readonly max_cycles: number | undefined
  readonly timeout_seconds: number | undefined
  readonly step_timeout_seconds: number | undefined
  readonly input_timeout_seconds: number | undefined
  readonly breakpoints: string[] | undefined
  readonly idempotency_key: string | undefined
} {
  return {
    agent: flags.agent,
    max_cycles: flags.maxCycles,
    timeout_seconds: flags.timeout,
    step_timeout_seconds: flags.stepTimeout,
    input_timeout_seconds: flags.inputTimeout,
    breakpoints: flags.break.length === 0 ? undefined : [...flags.break],
    idempotency_key: flags.key,
  }
}

async function startAndShow(session: Session, plan: string, flags: RunFlags): Promise<ExitCode> {
  const { terminal, json, printJson } = session
  const inputs = await collectInputs({ file: flags.inputs, single: flags.input })
  const run = await startRun(session, plan, { flags, inputs })
  if (flags.watch) return watchToEnd(session, run)
  if (json) printJson(run)
  else terminal.print(run.run_id)
  terminal.note(`Started. Follow it with: slipway watch ${run.run_id}`)
  return exitCodes.done
}

/** Starts the run; an unknown plan is answered with the names of those that are there. */
async function startRun(
  { client, signal }: Session,
  plan: string,
  { flags, inputs }: { flags: RunFlags; inputs: Record<string, unknown> },
): Promise<Run> {
  try {
    return await client.startRun(plan, {
      ...termsOf(flags),
      inputs,
      mode: flags.mode,
      version: flags.planVersion,
      signal,
    })
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'plan.unknown') throw error
    const known = (await client.plans({ limit: 20, signal })).items.map(({ id }) => id)
    const hint =
      known.length > 0 ? `Deployed are: ${known.join(', ')}.` : 'None is deployed: slipway deploy <folder|zip>.'
    throw new AppError('plan.unknown', `${error.message} ${hint}`, { cause: error, details: error.details })
  }
}
