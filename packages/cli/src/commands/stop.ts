import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import type { Cli } from '../session.ts'

export function addStop(program: Command, cli: Cli): void {
  program
    .command('stop')
    .description('Stop a run.')
    .argument('<run>', 'id of the run')
    .option('--reason <text>', 'why; it is kept with the run')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string, { reason }: { readonly reason?: string }) => {
        const run = await client.stop(id, { reason })
        if (json) printJson(run)
        else
          terminal.print(run.status === 'stopping' ? `${run.run_id} is stopping.` : `${run.run_id} is ${run.status}.`)
        return exitCodes.done
      }),
    )
}
