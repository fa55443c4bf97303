import { createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { PruneReply } from '@slipway/protocol/archives'
import { AppError } from '@slipway/protocol/errors'
import type { Command } from 'commander'
import { confirmed } from '../confirm.ts'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { fileBlob } from '../file-blob.ts'
import { restLine } from '../held.ts'
import { count, days } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { byteCount, localTime, table } from '../text.ts'

/** The commands below `runs` that make files of runs and end them. */
export function addArchives(runs: Command, cli: Cli): void {
  runs
    .command('export')
    .description('Write a run that is over or paused into one file: package, journal, values, trace, events and files.')
    .argument('<run>', 'id of the run')
    .option('-o, --output <file>', 'where to; <run>.zip unless said otherwise')
    .option('--force', 'take the place of a file that is there')
    .action(cli.act(exportRun))
  runs
    .command('import')
    .description('Take in a run that was exported. It is replayed first, and refused when it does not add up.')
    .argument('<file>', 'archive of a run')
    .option('--run-id <id>', 'another id, where its own is taken here')
    .action(cli.act(importRun))
  runs
    .command('delete')
    .description('Delete a run that is over, with everything that belongs to it.')
    .argument('<run>', 'id of the run')
    .option('-y, --yes', 'do not ask')
    .action(cli.act(deleteRun))
  runs
    .command('prune')
    .description(
      'Delete old runs that are over. What is left out is said by the policy of the plan, else of the server.',
    )
    .option('--older-than <time>', 'those that ended longer ago: 30d, 12h; a bare number means days', days)
    .option('--keep <n>', 'so many of the newest runs of each plan stay in any case', count)
    .option('--plan <plan>', 'only runs of this plan')
    .option('--dry-run', 'only say which would go')
    .option('-y, --yes', 'do not ask')
    .action(cli.act(pruneRuns))
}

interface ExportFlags {
  readonly output?: string
  readonly force?: boolean
}

async function exportRun(session: Session, id: string, { output, force }: ExportFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson, signal } = session
  const path = output ?? `${id}.zip`
  if (!force && (await exists(path)))
    throw new AppError('input.invalid', `${path} is there already. Name another file with -o, or add --force.`)
  const partial = `${path}.part`
  let size = 0
  try {
    const archive = await client.exportRun(id, { signal })
    const bar = progressNote(session, 'Written')
    const counted = async function* (): AsyncGenerator<Uint8Array> {
      for await (const chunk of archive) {
        size += chunk.byteLength
        bar(size)
        yield chunk
      }
    }
    await pipeline(Readable.from(counted()), createWriteStream(partial), { signal })
    // Under its name only once it is whole.
    await rename(partial, path)
  } catch (error) {
    await rm(partial, { force: true })
    throw error
  }
  if (json) printJson({ run_id: id, file: path, size_bytes: size })
  else terminal.print(`Wrote ${path} (${byteCount(size)}).`)
  return exitCodes.done
}

const noteEveryMs = 2000

/** Says now and then how many bytes there are. */
function progressNote({ terminal }: Session, word: string): (bytes: number) => void {
  let told = performance.now()
  return bytes => {
    if (performance.now() - told < noteEveryMs) return
    told = performance.now()
    terminal.note(`${word} ${byteCount(bytes)} …`)
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

async function importRun(
  { client, terminal, json, printJson, signal }: Session,
  path: string,
  { runId }: { readonly runId?: string },
): Promise<ExitCode> {
  const archive = await fileBlob(path)
  terminal.note(`Sending ${byteCount(archive.size)}; the run is then replayed …`)
  const reply = await client.importRun(archive, { runId, signal })
  if (json) printJson(reply)
  else {
    terminal.print(`Imported ${reply.run.run_id}: ${reply.replayed_steps} records were made again and are the same.`)
    terminal.note(restLine(reply.run))
  }
  return exitCodes.done
}

async function deleteRun(session: Session, id: string, { yes = false }: { readonly yes?: boolean }): Promise<ExitCode> {
  const { client, terminal, json, printJson } = session
  if (!(await confirmed(session, `Delete ${id} for good?`, { yes, needsPerson: true }))) return nothing(session)
  const reply = await client.deleteRun(id)
  if (json) printJson(reply)
  else terminal.print(`Deleted ${reply.run_id}.`)
  return exitCodes.done
}

interface PruneFlags {
  readonly olderThan?: number
  readonly keep?: number
  readonly plan?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
}

async function pruneRuns(session: Session, flags: PruneFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson, signal } = session
  const wanted = { olderThanDays: flags.olderThan, keep: flags.keep, planId: flags.plan, signal }
  if (flags.dryRun || !flags.yes) {
    const reply = await client.pruneRuns({ ...wanted, dryRun: true })
    if (flags.dryRun) return showPruned(session, reply, 'would go')
    if (reply.runs.length === 0) return showPruned(session, { ...reply, dry_run: false }, 'were deleted')
    const many = `${reply.runs.length}${reply.more ? ' or more' : ''}`
    if (!(await confirmed(session, `Delete ${many} runs for good?`, { yes: false, needsPerson: true })))
      return nothing(session)
  }
  const gone: PruneReply['runs'][number][] = []
  for (;;) {
    const reply = await client.pruneRuns(wanted)
    gone.push(...reply.runs)
    if (!reply.more || reply.runs.length === 0) break
    terminal.note(`Deleted ${gone.length} …`)
  }
  if (json) printJson({ dry_run: false, runs: gone, more: false })
  else return showPruned(session, { dry_run: false, runs: gone, more: false }, 'were deleted')
  return exitCodes.done
}

function showPruned({ terminal, json, printJson }: Session, reply: PruneReply, what: string): ExitCode {
  if (json) printJson(reply)
  else if (reply.runs.length === 0) terminal.print('No run is old enough to go.')
  else {
    const rows = reply.runs.map(run => [run.run_id, run.plan_id, localTime(run.completed_at)])
    terminal.print(table(['RUN', 'PLAN', 'ENDED'], rows, { width: terminal.columns() }))
    terminal.print(`${reply.runs.length}${reply.more ? ' or more' : ''} runs ${what}.`)
  }
  return exitCodes.done
}

function nothing({ terminal }: Session): ExitCode {
  terminal.note('Nothing was deleted.')
  return exitCodes.done
}
