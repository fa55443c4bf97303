import type { Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { attemptTable, contentText, jobLines, jobTable } from '../job-text.ts'
import { positive } from '../options.ts'
import type { Cli, Session } from '../session.ts'

interface ListFlags {
  readonly type?: string
  readonly limit: number
  readonly after?: number
}

export function addDeadLetters(program: Command, cli: Cli): void {
  const letters = program
    .command('dead-letters')
    .description('Jobs whose attempts are used up: list, redrive, discard.')
  letters
    .command('list', { isDefault: true })
    .description('List dead letters; `slipway dead-letters` does the same.')
    .option('--type <type>', 'only jobs of this type')
    .option('-n, --limit <n>', 'jobs on a page', positive, 20)
    .option('--after <cursor>', 'the page behind this cursor', positive)
    .action(
      cli.act(async ({ client, terminal, json, printJson }, flags: ListFlags) => {
        const page = await client.deadLetters.list(flags)
        if (json) printJson(page)
        else if (page.items.length === 0) terminal.print('No dead letters.')
        else terminal.print(jobTable(page.items, terminal))
        if (page.next !== null) terminal.note(`Older ones: slipway dead-letters --after ${page.next}`)
        return exitCodes.done
      }),
    )
  letters
    .command('show')
    .description('Show a dead letter with its payload and attempts.')
    .argument('<job>', 'id of the job')
    .action(cli.act(show))
  letters
    .command('redrive')
    .description('Put dead letters back at the end of their queues, with all their attempts.')
    .argument('<jobs...>', 'ids of the jobs')
    .action(cli.act((session, ids: readonly string[]) => each(session, ids, 'redrive')))
  letters
    .command('discard')
    .description('Say that dead letters need nothing more.')
    .argument('<jobs...>', 'ids of the jobs')
    .action(cli.act((session, ids: readonly string[]) => each(session, ids, 'discard')))
}

async function show({ client, terminal, json, printJson }: Session, id: string): Promise<ExitCode> {
  const letter = await client.deadLetters.get(id)
  if (json) printJson(letter)
  else {
    jobLines(letter.job).forEach(terminal.print)
    terminal.print(`\n${attemptTable(letter.attempts, terminal)}\n\n${contentText(letter)}`)
  }
  return exitCodes.done
}

async function each(
  { client, terminal, json, printJson }: Session,
  ids: readonly string[],
  what: 'redrive' | 'discard',
): Promise<ExitCode> {
  const jobs = []
  for (const id of ids) {
    const job = await client.deadLetters[what](id)
    jobs.push(job)
    if (!json) terminal.print(`${job.jobId} is ${what === 'redrive' ? job.status : 'discarded'}.`)
  }
  if (json) printJson(jobs)
  return exitCodes.done
}
