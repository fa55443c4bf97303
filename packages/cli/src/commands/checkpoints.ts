import type { Checkpoint, ReconcileMode } from '@slipway/protocol/checkpoints'
import { Option, type Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { collectInputs } from '../inputs.ts'
import { collect, count, positive } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { localTime, table } from '../text.ts'
import { watchToEnd } from '../watch.ts'
import { addPosition, placeText, positionOf, type PositionFlags } from './pause.ts'
import { addTerms, termsOf, type TermFlags } from './run.ts'

interface CheckpointsFlags {
  readonly flowIndex?: string
  readonly cycle?: number
  readonly limit: number
  readonly after?: number
  readonly newest?: boolean
}

export function addCheckpoints(program: Command, cli: Cli): void {
  program
    .command('checkpoints')
    .description('List the positions of a run that it can go back to and that others can be forked from.')
    .argument('<run>', 'id of the run')
    .option('--flow-index <step>', 'only those at which this step ended')
    .option('--cycle <n>', 'only those of this cycle', count)
    .option('--newest', 'newest first')
    .option('-n, --limit <n>', 'checkpoints on a page', positive, 50)
    .option('--after <step>', 'the page behind this one', count)
    .action(cli.act(showCheckpoints))
}

async function showCheckpoints(session: Session, id: string, flags: CheckpointsFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson, signal } = session
  const { flowIndex, cycle, limit, after, newest } = flags
  const page = await client.checkpoints(id, {
    flow_index: flowIndex,
    cycle,
    limit,
    after,
    order: newest ? 'desc' : 'asc',
    signal,
  })
  if (json) printJson(page)
  else if (page.items.length === 0) terminal.print('No checkpoints like that.')
  else
    terminal.print(
      table(['STEP', 'CYCLE', 'FLOW INDEX', 'RUN', 'STATUS', 'TIME', 'WHAT'], page.items.map(row), {
        width: terminal.columns(),
      }),
    )
  if (page.next !== null) terminal.note(`Further ones: the same with --after ${page.next}`)
  return exitCodes.done
}

function row(at: Checkpoint): string[] {
  const execution = at.execution === null ? '' : `#${at.execution}`
  const cycle = `${at.cycle}.${at.inference_count}`
  return [String(at.step), cycle, at.flow_index ?? '', execution, at.status, localTime(at.at), at.label]
}

interface ForkFlags extends PositionFlags, TermFlags {
  readonly mode?: Lowercase<'OVERWRITE' | 'PATCH'> | 'fill-gaps'
  readonly restart?: boolean
  readonly plan?: string
  readonly planVersion?: string
  readonly runId?: string
  readonly input: readonly string[]
  readonly inputs?: string
  readonly override: readonly string[]
  readonly watch?: boolean
}

const modes = { overwrite: 'OVERWRITE', patch: 'PATCH', 'fill-gaps': 'FILL_GAPS' } as const satisfies Record<
  NonNullable<ForkFlags['mode']>,
  ReconcileMode
>

export function addFork(program: Command, cli: Cli): void {
  const command = program
    .command('fork')
    .description('Start a new run from a checkpoint of another one, which stays as it is.')
    .argument('<run>', 'id of the source')
  addPosition(command)
    .addOption(
      new Option(
        '--mode <mode>',
        'what is taken over: everything, what the plan has unchanged, or what plan and request leave empty ' +
          '(default: overwrite onto the same package, patch onto another)',
      ).choices(Object.keys(modes)),
    )
    .option('--plan <plan>', 'continue in another plan')
    .option('--plan-version <version>', 'continue in this version of the plan')
    .option(
      '-i, --input <name=value>',
      'input in the place of the source’s; what depends on it is done again',
      collect,
      [],
    )
    .option('--inputs <file>', 'JSON file with inputs by name; -i goes before it')
    .option('--override <concept=value>', 'value of any concept; what depends on it is done again', collect, [])
    .option('--restart', 'do every step again, with the values that were taken over')
    .option('--run-id <id>', 'id of the new run')
    .option('-w, --watch', 'show the new run until it ends, then its result')
  addTerms(command).action(cli.act(fork))
}

async function fork(session: Session, id: string, flags: ForkFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson, signal } = session
  const inputs = await collectInputs({ file: flags.inputs, single: flags.input })
  const overrides = await collectInputs({ single: flags.override })
  const position = positionOf(flags)
  const run = await client.fork(id, {
    ...position,
    ...termsOf(flags),
    mode: flags.mode && modes[flags.mode],
    restart: flags.restart,
    run_id: flags.runId,
    plan_id: flags.plan,
    version: flags.planVersion,
    inputs: Object.keys(inputs).length === 0 ? undefined : inputs,
    overrides: Object.keys(overrides).length === 0 ? undefined : overrides,
    signal,
  })
  if (flags.watch) return watchToEnd(session, run)
  if (json) printJson(run)
  else terminal.print(run.run_id)
  const place = position === undefined ? 'its newest checkpoint' : placeText(position)
  terminal.note(`Forked from ${id} at ${place}. Follow it with: slipway watch ${run.run_id}`)
  return exitCodes.done
}
