import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import type { Cli } from '../session.ts'

export function addUndeploy(program: Command, cli: Cli): void {
  program
    .command('undeploy')
    .description('Take a plan off the server. Refused while runs of it are active.')
    .argument('<plan>', 'id of the plan')
    .option('--force', 'stop its active runs')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string, { force }: { readonly force?: boolean }) => {
        const reply = await client.deletePlan(id, { force })
        if (json) printJson(reply)
        else {
          const stopped = reply.stopped_runs.length
          terminal.print(`Undeployed ${reply.plan_id}.${stopped > 0 ? ` Stopped ${stopped} run(s).` : ''}`)
        }
        return exitCodes.done
      }),
    )
}

export function addRollback(program: Command, cli: Cli): void {
  program
    .command('rollback')
    .description('Make an earlier version of a plan the one that new runs take.')
    .argument('<plan>', 'id of the plan')
    .argument('<version>', 'a version that is deployed')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string, version: string) => {
        const plan = await client.rollback(id, version)
        if (json) printJson(plan)
        else terminal.print(`New runs of ${plan.id} take version ${plan.version}.`)
        return exitCodes.done
      }),
    )
}
