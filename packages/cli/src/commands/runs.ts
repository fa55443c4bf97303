import { RunState, type Run } from '@slipway/protocol/runs'
import { PlanId } from '@slipway/protocol/plans'
import { Option, type Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import type { Cli } from '../session.ts'
import { localTime, table } from '../text.ts'
import { addArchives } from './archives.ts'
import { positive } from '../options.ts'

interface RunsFlags {
  readonly plan?: string
  readonly status?: RunState
  readonly limit: number
  readonly after?: string
}

export function addRuns(program: Command, cli: Cli): void {
  const runs = program.command('runs').description('List runs, take them out and in as files, and delete them.')
  // A command of its own, so that its options are not taken for those of `prune` and its like.
  runs
    .command('list', { isDefault: true })
    .description('List runs, newest first; `slipway runs` does the same.')
    .option('--plan <plan>', 'only runs of this plan')
    .addOption(new Option('--status <status>', 'only runs in this state').choices(RunState.options))
    .option('-n, --limit <n>', 'runs on a page', positive, 20)
    .option('--after <cursor>', 'the page behind this cursor')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, { plan, status, limit, after }: RunsFlags) => {
        const query = { plan_id: plan === undefined ? undefined : PlanId.parse(plan), status, limit, after }
        const page = await client.runs(query)
        if (json) printJson(page)
        else if (page.items.length === 0) terminal.print('No runs. Start one with: slipway run <plan> --watch')
        else
          terminal.print(
            table(['RUN', 'PLAN', 'STATUS', 'STEPS', 'CREATED'], page.items.map(runRow), { width: terminal.columns() }),
          )
        if (page.next !== null) terminal.note(`Older runs: slipway runs --after ${page.next}`)
        return exitCodes.done
      }),
    )
  addArchives(runs, cli)
}

function runRow(run: Run): string[] {
  const { completed_count: completed, total_count: total } = run.progress
  const status = run.error === null ? run.status : `${run.status} (${run.error.reason})`
  return [run.run_id, run.plan_id, status, `${completed}/${total}`, localTime(run.created_at)]
}
