import { JobStatus } from '@slipway/protocol/jobs'
import { followJob } from '@slipway/sdk/job-stream'
import { writeJson } from '@slipway/sdk/json'
import { Option, type Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { addJobTerms, jobTerms, type JobFlags } from '../job-payload.ts'
import { attemptTable, contentText, frameLine, jobLines, jobTable } from '../job-text.ts'
import { positive, seconds } from '../options.ts'
import { codeFor, type Cli, type Session } from '../session.ts'

export function addJobs(program: Command, cli: Cli): void {
  const jobs = program
    .command('jobs')
    .description('Submit jobs for operators, and look after them and the runs of plans.')
  addList(jobs, cli)
  addJobTerms(
    jobs
      .command('submit')
      .description('Submit a job; its id is printed once it is on disk.')
      .argument('<type>', 'such as genesis, or plan for a run'),
  )
    .option('--key <key>', 'idempotency key: the same key makes one job, however often it is sent')
    .option('--delay <time>', 'not before this time has passed: 90, 15m, 2h, 30d', seconds)
    .option('--deadline <time>', 'when it is over in any case, such as 2030-01-31T18:00:00Z')
    .option('-f, --follow', 'show what happens until it is over')
    .action(cli.act(submit))
  jobs
    .command('show')
    .description('Show one job with its attempts.')
    .argument('<job>', 'id of the job or run')
    .action(cli.act(show))
  jobs
    .command('follow')
    .description('Show what happens to a job until it is over: status, log, stream, result.')
    .argument('<job>', 'id of the job or run')
    .option('--after <n>', 'behind the frame with this `n`')
    .action(cli.act((session, id: string, { after }: { readonly after?: string }) => follow(session, id, after)))
  jobs
    .command('result')
    .description('Show the result of a job that is over.')
    .argument('<job>', 'id of the job or run')
    .action(cli.act(showResult))
  jobs
    .command('cancel')
    .description('Cancel a job. Whoever works on it is told, and it is over after a grace in any case.')
    .argument('<job>', 'id of the job or run')
    .option('--reason <text>', 'why; it is kept with the job')
    .action(cli.act(cancel))
}

interface ListFlags {
  readonly type?: string
  readonly status?: JobStatus
  readonly limit: number
  readonly after?: string
}

function addList(jobs: Command, cli: Cli): void {
  jobs
    .command('list', { isDefault: true })
    .description('List jobs and runs, newest first; `slipway jobs` does the same.')
    .option('--type <type>', 'only jobs of this type; plan for runs')
    .addOption(new Option('--status <status>', 'only jobs that are so').choices(JobStatus.options))
    .option('-n, --limit <n>', 'jobs on a page', positive, 20)
    .option('--after <cursor>', 'the page behind this cursor')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, flags: ListFlags) => {
        const page = await client.jobs.list(flags)
        if (json) printJson(page)
        else if (page.items.length === 0) terminal.print('No jobs. Submit one with: slipway jobs submit <type>')
        else terminal.print(jobTable(page.items, terminal))
        if (page.next !== null) terminal.note(`Older jobs: slipway jobs --after ${page.next}`)
        return exitCodes.done
      }),
    )
}

interface SubmitFlags extends JobFlags {
  readonly key?: string
  readonly delay?: number
  readonly deadline?: string
  readonly follow?: boolean
}

async function submit(session: Session, type: string, flags: SubmitFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson } = session
  const terms = await jobTerms(flags)
  const { key: idempotencyKey, delay: delaySeconds, deadline } = flags
  const { jobId } = await client.jobs.submit(type, { ...terms, idempotencyKey, delaySeconds, deadline })
  if (flags.follow) {
    terminal.note(`Submitted ${jobId}.`)
    return follow(session, jobId)
  }
  if (json) printJson({ jobId })
  else terminal.print(jobId)
  return exitCodes.done
}

async function show({ client, terminal, json, printJson }: Session, id: string): Promise<ExitCode> {
  const job = await client.jobs.get(id)
  const attempts = await client.jobs.attempts(id)
  if (json) printJson({ ...job, history: attempts })
  else {
    jobLines(job).forEach(terminal.print)
    if (attempts.length > 0) terminal.print(`\n${attemptTable(attempts, terminal)}`)
    if (job.result) terminal.print(`\n${contentText(job.result)}`)
  }
  return exitCodes.done
}

/** Attempts in a row before a watcher gives up on the server: about half a minute. */
const maxAttempts = 8

/** With `--json` each frame is a line of its own. */
async function follow(session: Session, id: string, after?: string): Promise<ExitCode> {
  const { client, terminal, json, signal } = session
  try {
    const frames = followJob(client, id, {
      after,
      signal,
      maxAttempts,
      onReconnecting: ({ reason }) => terminal.note(`The connection is lost (${reason}); trying again …`),
    })
    for await (const frame of frames) {
      const line = json ? writeJson(frame) : frameLine(frame, terminal.columns())
      if (line !== null) terminal.print(line)
      if (frame.type === 'error') return exitCodes.failed
    }
  } catch (error) {
    if (!signal.aborted) throw error
    terminal.complain(
      `The job goes on. Follow it with \`slipway jobs follow ${id}\`, cancel it with \`slipway jobs cancel ${id}\`.`,
    )
    return exitCodes.interrupted
  }
  if (!json) terminal.print(contentText(await client.jobs.result(id, { signal })))
  return exitCodes.done
}

async function showResult({ client, terminal, json, printJson }: Session, id: string): Promise<ExitCode> {
  const outcome = await client.jobs.result(id)
  if (json) printJson(outcome)
  else if (outcome.error) terminal.complain(`${outcome.status}: ${outcome.error.message}`)
  else terminal.print(contentText(outcome))
  return codeFor(outcome.status === 'succeeded')
}

async function cancel(
  { client, terminal, json, printJson }: Session,
  id: string,
  { reason }: { readonly reason?: string },
): Promise<ExitCode> {
  const job = await client.jobs.cancel(id, { reason })
  if (json) printJson(job)
  else terminal.print(job.isCancelling ? `${job.jobId} is being cancelled.` : `${job.jobId} is ${job.status}.`)
  return exitCodes.done
}
