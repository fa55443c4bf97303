import { readFile } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import type { CommandReply } from '@slipway/protocol/debugging'
import { AppError } from '@slipway/protocol/errors'
import type { Command } from 'commander'
import { confirmed } from '../confirm.ts'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { restLine } from '../held.ts'
import { collectInputs, readValue } from '../inputs.ts'
import { collect } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { oneLine } from '../text.ts'

interface OverrideFlags {
  readonly axes?: string
  readonly rerun?: boolean
  readonly yes?: boolean
}

export function addOverride(program: Command, cli: Cli): void {
  program
    .command('override')
    .description('Give a concept of a run another value.')
    .argument('<run>', 'id of the run')
    .argument('<concept>', 'its name, or its natural name')
    .argument('<value>', 'JSON or text, @file, or @- for standard input')
    .option('--axes <names>', 'axes of the value, with commas between them; without it the concept keeps its own')
    .option('--rerun', 'do everything that depends on it again')
    .option('-y, --yes', 'with --rerun: do not ask')
    .action(cli.act(override))
}

async function override(
  session: Session,
  id: string,
  concept: string,
  value: string,
  { axes, rerun, yes }: OverrideFlags,
): Promise<ExitCode> {
  const { client, signal } = session
  const content = await readValue(value)
  if (rerun && !(await mayRepeat(session, await client.dependents(id, concept, { signal }), yes)))
    return nothing(session)
  const names = axes?.split(',').map(name => name.trim())
  const reply = await client.override(id, concept, { value: content, axes: names, rerunDependents: rerun, signal })
  return showReply(session, reply, `${oneLine(concept)} has the new value.`)
}

export function addRerun(program: Command, cli: Cli): void {
  program
    .command('rerun')
    .description('Execute a step and all that depends on it again. A run that is over goes on.')
    .argument('<run>', 'id of the run')
    .argument('<step>', 'flow index')
    .option('-y, --yes', 'do not ask')
    .action(
      cli.act(async (session, id: string, step: string, { yes }: { readonly yes?: boolean }) => {
        const { client, signal } = session
        if (!(await mayRepeat(session, await client.descendants(id, step, { signal }), yes))) return nothing(session)
        return showReply(session, await client.rerunFrom(id, step, { signal }), `Step ${oneLine(step)} is done again.`)
      }),
    )
}

interface ModifyFlags {
  readonly paradigm?: string
  readonly promptFile?: string
  readonly set: readonly string[]
  readonly retry?: boolean
  readonly yes?: boolean
}

export function addModify(program: Command, cli: Cli): void {
  program
    .command('modify')
    .description('Change the paradigm, the prompt or other settings of a step, in this run only.')
    .argument('<run>', 'id of the run')
    .argument('<step>', 'flow index')
    .option('--paradigm <name>', 'another paradigm')
    .option('--prompt-file <file>', 'text in the place of the step’s prompt; - for standard input')
    .option('--set <key=value>', 'a key of its working interpretation; may be given several times', collect, [])
    .option('--retry', 'do the step and all that depends on it again')
    .option('-y, --yes', 'with --retry: do not ask')
    .action(cli.act(modify))
}

async function modify(session: Session, id: string, step: string, flags: ModifyFlags): Promise<ExitCode> {
  const { client, signal } = session
  const { paradigm, promptFile, retry = false, yes } = flags
  const changes = await collectInputs({ single: flags.set })
  if (paradigm === undefined && promptFile === undefined && flags.set.length === 0)
    throw new AppError('input.invalid', 'Say what changes: --paradigm, --prompt-file or --set.')
  const prompt = promptFile === undefined ? undefined : await readText(promptFile)
  if (retry && !(await mayRepeat(session, await client.descendants(id, step, { signal }), yes))) return nothing(session)
  const reply = await client.modifyFunction(id, step, {
    paradigm,
    prompt,
    changes: flags.set.length === 0 ? undefined : changes,
    retry,
    signal,
  })
  return showReply(session, reply, `Step ${oneLine(step)} is changed in this run.`)
}

function readText(path: string): Promise<string> {
  return path === '-' ? text(process.stdin) : readFile(path, 'utf8')
}

const mostNamed = 12

/** Says which steps are done again, and asks where somebody is there to ask. */
async function mayRepeat(session: Session, steps: readonly string[], yes = false): Promise<boolean> {
  const named = steps.slice(0, mostNamed).map(oneLine).join(', ')
  const more = steps.length > mostNamed ? ` and ${steps.length - mostNamed} more` : ''
  session.terminal.note(
    steps.length === 0
      ? 'No step depends on it.'
      : `Done again, with their calls to models and scripts: ${named}${more}`,
  )
  return steps.length === 0 || confirmed(session, 'Go ahead?', { yes, needsPerson: false })
}

function nothing({ terminal }: Session): ExitCode {
  terminal.note('Nothing was changed.')
  return exitCodes.done
}

function showReply({ terminal, json, printJson }: Session, { command, run }: CommandReply, done: string): ExitCode {
  if (json) printJson({ command, run })
  else if (command.status === 'waiting')
    terminal.print(`Asked for. It is on disk, and done once the run takes it up: slipway commands ${run.run_id}`)
  else {
    terminal.print(done)
    terminal.note(restLine(run))
  }
  return exitCodes.done
}
