import type { Command } from 'commander'
import { codeFor, type Cli } from '../session.ts'
import { endLines, resultLines } from '../show-run.ts'

export function addResult(program: Command, cli: Cli): void {
  program
    .command('result')
    .description('Show the final values of a finished run.')
    .argument('<run>', 'id of the run')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string) => {
        const result = await client.result(id)
        if (json) printJson(result)
        else {
          if (result.status !== 'completed') endLines(await client.run(id), terminal).forEach(terminal.complain)
          resultLines(result, terminal).forEach(terminal.print)
        }
        return codeFor(result.status === 'completed')
      }),
    )
}
