import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { AppError } from '@slipway/protocol/errors'
import type { Run } from '@slipway/protocol/runs'
import { InvalidArgumentError, Option, type Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { collectInputs } from '../inputs.ts'
import { codeFor, type Cli, type Session } from '../session.ts'
import { endLines, resultLines } from '../show-run.ts'
import { howToGoOn, watchRun } from '../watch.ts'

interface RunFlags {
  readonly input: readonly string[]
  readonly inputs?: string
  readonly watch?: boolean
  readonly mode?: 'parallel' | 'sequential'
  readonly maxCycles?: number
  readonly agent?: string
  readonly planVersion?: string
  readonly key?: string
  readonly timeout?: number
}

export function addRun(program: Command, cli: Cli): void {
  program
    .command('run')
    .description('Start a run of a plan.')
    .argument('<plan>', 'id of the plan')
    .option('-i, --input <name=value>', 'input: JSON or text, name=@file, or name=@- for standard input', collect, [])
    .option('--inputs <file>', 'JSON file with inputs by name; -i goes before it')
    .option('-w, --watch', 'show the run until it ends, then its result')
    .addOption(new Option('--mode <mode>', 'order of independent steps').choices(['parallel', 'sequential']))
    .option('--max-cycles <n>', 'give up after so many cycles', positive)
    .option('--agent <name>', 'agent that answers the model calls')
    .option('--plan-version <version>', 'a version other than the active one')
    .option('--key <key>', 'idempotency key: the same key starts one run, however often it is sent')
    .option('--timeout <seconds>', 'with --watch: stop the run when it is not done by then', positive)
    .action(cli.act(startAndShow))
}

async function startAndShow(session: Session, plan: string, flags: RunFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson, signal } = session
  if (flags.timeout !== undefined && !flags.watch)
    throw new AppError('input.invalid', '--timeout needs --watch: without it nobody is there to stop the run.')
  const inputs = await collectInputs(
    { file: flags.inputs, single: flags.input },
    { readFile: path => readFile(path), readStdin: () => buffer(process.stdin) },
  )
  const run = await startRun(session, plan, { flags, inputs })
  if (!flags.watch) {
    if (json) printJson(run)
    else terminal.print(run.run_id)
    terminal.note(`Started. Follow it with: slipway logs ${run.run_id} --follow`)
    return exitCodes.done
  }
  using late = stopAfter(session, run, flags.timeout)
  const watched = await watchRun(session, run)
  if (watched.type === 'detached') {
    terminal.complain(howToGoOn(run.run_id))
    return exitCodes.interrupted
  }
  const result = watched.run.status === 'completed' ? await client.result(run.run_id, { signal }) : null
  if (json) printJson({ run: watched.run, result })
  else {
    endLines(watched.run, terminal).forEach(terminal.print)
    if (late.fired()) terminal.print(`  It was stopped, because it was not done within ${flags.timeout ?? 0} s.`)
    if (result) ['', ...resultLines(result, terminal)].forEach(terminal.print)
  }
  return codeFor(watched.run.status === 'completed')
}

/** Starts the run; an unknown plan is answered with the names of those that are there. */
async function startRun(
  { client, signal }: Session,
  plan: string,
  { flags, inputs }: { flags: RunFlags; inputs: Record<string, unknown> },
): Promise<Run> {
  try {
    return await client.startRun(plan, {
      inputs,
      mode: flags.mode,
      max_cycles: flags.maxCycles,
      agent: flags.agent,
      version: flags.planVersion,
      idempotency_key: flags.key,
      signal,
    })
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'plan.unknown') throw error
    const known = (await client.plans({ limit: 20, signal })).items.map(({ id }) => id)
    const hint =
      known.length > 0 ? `Deployed are: ${known.join(', ')}.` : 'None is deployed: slipway deploy <folder|zip>.'
    throw new AppError('plan.unknown', `${error.message} ${hint}`, { cause: error, details: error.details })
  }
}

function stopAfter(
  { client, terminal }: Session,
  run: Run,
  seconds: number | undefined,
): Disposable & { readonly fired: () => boolean } {
  let fired = false
  const timer =
    seconds === undefined
      ? undefined
      : setTimeout(() => {
          fired = true
          client
            .stop(run.run_id, { reason: `not done within ${seconds} s` })
            .catch((error: unknown) => terminal.complain(`Could not stop the run: ${String(error)}`))
        }, seconds * 1000)
  return { fired: () => fired, [Symbol.dispose]: () => clearTimeout(timer) }
}

function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

export function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It has to be a whole number from 1.')
  return value
}
