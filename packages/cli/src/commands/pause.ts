import { AppError } from '@slipway/protocol/errors'
import type { Run } from '@slipway/protocol/runs'
import type { Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { count } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { eventsSoFar } from '../events-so-far.ts'
import { watchToEnd } from '../watch.ts'

export function addPause(program: Command, cli: Cli): void {
  program
    .command('pause')
    .description('Pause a run: the calls under way end, no others begin.')
    .argument('<run>', 'id of the run')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string) => {
        const run = await client.pause(id)
        if (json) printJson(run)
        else terminal.print(`${run.run_id} is ${run.status}. Go on with: slipway resume ${run.run_id}`)
        return exitCodes.done
      }),
    )
}

/** Where in a run. */
export interface PositionFlags {
  readonly from?: number
  readonly cycle?: number
  readonly inferenceCount?: number
}

interface ResumeFlags extends PositionFlags {
  readonly watch?: boolean
}

export function addResume(program: Command, cli: Cli): void {
  const command = program
    .command('resume')
    .description('Go on with a paused run where it stood, or with any run that rests from one of its checkpoints.')
    .argument('<run>', 'id of the run')
  addPosition(command).option('-w, --watch', 'show the run until it ends, then its result').action(cli.act(resume))
}

export function addPosition(command: Command): Command {
  return command
    .option('--from <step>', 'checkpoint: number of a record, as `slipway checkpoints` lists them', count)
    .option('--cycle <n>', 'checkpoint: the end of this cycle', count)
    .option('--inference-count <n>', 'with --cycle: behind so many records of it', count)
}

/** The checkpoint that the options name; undefined when they name none. */
export function positionOf({
  from,
  cycle,
  inferenceCount,
}: PositionFlags):
  { readonly step: number } | { readonly cycle: number; readonly inference_count?: number } | undefined {
  if (from !== undefined && cycle !== undefined)
    throw new AppError('input.invalid', 'Name the checkpoint with --from or with --cycle, not with both.')
  if (inferenceCount !== undefined && cycle === undefined)
    throw new AppError('input.invalid', '--inference-count needs --cycle.')
  if (from !== undefined) return { step: from }
  if (cycle === undefined) return undefined
  return { cycle, ...(inferenceCount === undefined ? {} : { inference_count: inferenceCount }) }
}

async function resume(session: Session, id: string, flags: ResumeFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson } = session
  const position = positionOf(flags)
  // What was shown when it happened is not shown again.
  const after = flags.watch ? ((await eventsSoFar(session, id)).at(-1)?.seq ?? 0) : 0
  const run = position === undefined ? await goOn(session, id) : await client.resumeCheckpoint(id, position)
  if (flags.watch) return watchToEnd(session, run, { linesAfter: after })
  if (json) printJson(run)
  else {
    const place = position === undefined ? '' : ` from ${placeText(position)}; what came after stays recorded`
    terminal.print(`${run.run_id} goes on${place}. Follow it with: slipway watch ${run.run_id}`)
  }
  return exitCodes.done
}

async function goOn({ client }: Session, id: string): Promise<Run> {
  try {
    return await client.resume(id)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'run.state') throw error
    throw new AppError(
      'run.state',
      `${error.message} A run that is over goes on from a checkpoint: slipway resume ${id} --from <step>.`,
      { cause: error },
    )
  }
}

export function placeText(position: NonNullable<ReturnType<typeof positionOf>>): string {
  if ('step' in position) return `step ${position.step}`
  const { cycle, inference_count: count } = position
  return `cycle ${cycle}${count === undefined ? '' : `, record ${count}`}`
}
