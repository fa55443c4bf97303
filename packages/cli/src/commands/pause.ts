import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import type { Cli } from '../session.ts'

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

export function addResume(program: Command, cli: Cli): void {
  program
    .command('resume')
    .description('Go on with a paused run where it stood.')
    .argument('<run>', 'id of the run')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string) => {
        const run = await client.resume(id)
        if (json) printJson(run)
        else terminal.print(`${run.run_id} goes on. Follow it with: slipway logs ${run.run_id} --follow`)
        return exitCodes.done
      }),
    )
}
