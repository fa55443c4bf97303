import type { CommandReply } from '@slipway/protocol/debugging'
import { AppError } from '@slipway/protocol/errors'
import type { Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import type { Cli, Session } from '../session.ts'
import { oneLine } from '../text.ts'

interface BreakFlags {
  readonly clear?: boolean
  readonly all?: boolean
}

export function addBreak(program: Command, cli: Cli): void {
  program
    .command('break')
    .description('Set, clear or list the breakpoints of a run: it pauses before such a step executes.')
    .argument('<run>', 'id of the run')
    .argument('[steps...]', 'flow indices; without any the breakpoints are listed')
    .option('--clear', 'clear these breakpoints')
    .option('--all', 'with --clear: all of them')
    .action(cli.act(setOrList))
}

async function setOrList(session: Session, id: string, steps: readonly string[], flags: BreakFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson } = session
  const replies = await change(session, id, { steps, ...flags })
  const breakpoints = await client.breakpoints(id)
  if (json) printJson({ breakpoints, commands: replies.map(({ command }) => command) })
  else {
    const waiting = replies.some(({ command }) => command.status === 'waiting')
    if (waiting) terminal.print('Asked for; the run takes it up when it has a place in the queue.')
    else if (breakpoints.length === 0) terminal.print(`${id} has no breakpoints.`)
    else terminal.print(`${id} pauses before ${breakpoints.map(oneLine).join(', ')}.`)
  }
  return exitCodes.done
}

async function change(
  { client }: Session,
  id: string,
  { steps, clear, all }: BreakFlags & { readonly steps: readonly string[] },
): Promise<CommandReply[]> {
  if (all && (!clear || steps.length > 0))
    throw new AppError('input.invalid', '--all goes with --clear and names no steps.')
  if (clear && !all && steps.length === 0) throw new AppError('input.invalid', 'Name the steps to clear, or add --all.')
  if (all) return [await client.clearBreakpoints(id)]
  const replies: CommandReply[] = []
  for (const step of steps)
    replies.push(await (clear ? client.clearBreakpoint(id, step) : client.setBreakpoint(id, step)))
  return replies
}
