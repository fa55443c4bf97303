import type { RunCommand } from '@slipway/protocol/debugging'
import { writeJson } from '@slipway/sdk/json'
import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import type { Cli } from '../session.ts'
import { localTime, table } from '../text.ts'

export function addCommands(program: Command, cli: Cli): void {
  program
    .command('commands')
    .description('List what people did to a run: who changed what, and when.')
    .argument('<run>', 'id of the run')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string) => {
        const commands = await client.commands(id)
        if (json) printJson(commands)
        else if (commands.length === 0) terminal.print('Nobody has done anything to this run.')
        else
          terminal.print(
            table(['N', 'TIME', 'BY', 'COMMAND', 'STATUS', 'DETAILS'], commands.map(row), {
              width: terminal.columns(),
            }),
          )
        return exitCodes.done
      }),
    )
}

function row(command: RunCommand): string[] {
  const n = command.n === null ? '' : String(command.n)
  const { asked_at: at, by, type, status, message, details } = command
  return [n, localTime(at), by, type, status, [message ?? '', facts(details)].filter(Boolean).join('; ')]
}

/** `{a: 1, b: "x"}` as `a=1 b=x`. */
function facts(details: unknown): string {
  if (typeof details !== 'object' || details === null) return ''
  return Object.entries(details)
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : (writeJson(value) ?? '')}`)
    .join(' ')
}
