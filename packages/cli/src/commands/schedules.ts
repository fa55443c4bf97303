import { misfirePolicies } from '@slipway/protocol/bus/jobs'
import { Option, type Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { addJobTerms, jobTerms, type JobFlags } from '../job-payload.ts'
import type { Cli, Session } from '../session.ts'
import { localTime, table } from '../text.ts'

export function addSchedules(program: Command, cli: Cli): void {
  const schedules = program
    .command('schedules')
    .description('Jobs that are submitted again and again: list, create, delete.')
  schedules
    .command('list', { isDefault: true })
    .description('List schedules; `slipway schedules` does the same.')
    .action(cli.act(list))
  addJobTerms(
    schedules
      .command('create')
      .description('Submit a job at these times. A schedule of the same name is replaced.')
      .argument('<name>', 'name of the schedule')
      .argument('<cron>', 'five fields, six with seconds first, or @daily and the like')
      .argument('<type>', 'type of the job'),
  )
    .option('--time-zone <zone>', 'such as Europe/Berlin; UTC unless given')
    .addOption(
      new Option('--misfire <policy>', 'what becomes of times that went by while no server ran').choices(
        misfirePolicies,
      ),
    )
    .action(cli.act(create))
  schedules
    .command('delete')
    .description('End a schedule. Jobs that it has submitted stay.')
    .argument('<name>', 'name of the schedule')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, name: string) => {
        await client.schedules.delete(name)
        if (json) printJson({ name })
        else terminal.print(`Deleted the schedule ${name}.`)
        return exitCodes.done
      }),
    )
}

async function list({ client, terminal, json, printJson }: Session): Promise<ExitCode> {
  const schedules = await client.schedules.list()
  if (json) printJson(schedules)
  else if (schedules.length === 0)
    terminal.print('No schedules. Make one with: slipway schedules create <name> <cron> <type>')
  else {
    const rows = schedules.map(({ name, type, cron, timeZone, nextAt }) => [
      name,
      type,
      cron,
      timeZone,
      localTime(nextAt),
    ])
    terminal.print(table(['NAME', 'TYPE', 'TIMES', 'ZONE', 'NEXT'], rows, { width: terminal.columns() }))
  }
  return exitCodes.done
}

interface CreateFlags extends JobFlags {
  readonly timeZone?: string
  readonly misfire?: (typeof misfirePolicies)[number]
}

// Commander hands over the options behind the three arguments.
async function create(session: Session, ...given: readonly [string, string, string, CreateFlags]): Promise<ExitCode> {
  const { client, terminal, json, printJson } = session
  const [name, cron, type, { timeZone, misfire, ...flags }] = given
  const job = { type, ...(await jobTerms(flags)) }
  const schedule = await client.schedules.put(name, { cron, timeZone, misfire, job })
  if (json) printJson(schedule)
  else terminal.print(`The schedule ${schedule.name} submits its next job at ${localTime(schedule.nextAt)}.`)
  return exitCodes.done
}
