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
  const details = command.message ?? (writeJson(command.details) || '')
  const n = command.n === null ? '' : String(command.n)
  return [n, localTime(command.asked_at), command.by, command.type, command.status, details === '{}' ? '' : details]
}
