import type { StepView } from '@slipway/protocol/debugging'
import type { RunDetails } from '@slipway/protocol/runs'
import type { Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { waysOn } from '../held.ts'
import { positive } from '../options.ts'
import { codeFor, type Cli, type Session } from '../session.ts'
import { settled } from '../settle.ts'
import { endLines } from '../show-run.ts'
import { recordLines } from './steps.ts'

export function addStep(program: Command, cli: Cli): void {
  program
    .command('step')
    .description('Let a paused run execute one step and show what it did.')
    .argument('<run>', 'id of the run')
    .option('-n, --steps <n>', 'so many steps, one after the other', positive, 1)
    .action(
      cli.act(async (session, id: string, { steps }: { readonly steps: number }) => {
        const before = await lastRecord(session, id)
        let run: RunDetails | undefined
        for (let left = steps; left > 0 && (run === undefined || run.status === 'paused'); left--) {
          await session.client.step(id)
          run = await settled(session, id)
        }
        return showRest(session, { id, before, run })
      }),
    )
}

export function addRunTo(program: Command, cli: Cli): void {
  program
    .command('run-to')
    .description('Let a paused run go on until a step has executed, and show what it did.')
    .argument('<run>', 'id of the run')
    .argument('<step>', 'flow index')
    .action(
      cli.act(async (session, id: string, step: string) => {
        const before = await lastRecord(session, id)
        await session.client.runTo(id, step)
        return showRest(session, { id, before, run: await settled(session, id) })
      }),
    )
}

/** Number of the newest record; 0 before the first. */
async function lastRecord({ client, signal }: Session, id: string): Promise<number> {
  const { items } = await client.checkpoints(id, { order: 'desc', limit: 1, signal })
  return items[0]?.step ?? 0
}

interface Rest {
  readonly id: string
  /** The newest record before. */
  readonly before: number
  readonly run: RunDetails | undefined
}

async function showRest(session: Session, { id, before, run }: Rest): Promise<ExitCode> {
  const { terminal, json, printJson } = session
  const records = await recordsAfter(session, id, before)
  const now = run ?? (await session.client.run(id))
  if (json) printJson({ run: now, steps: records })
  else {
    records.flatMap(record => recordLines(record, terminal)).forEach(terminal.print)
    endLines(now, terminal).forEach(terminal.print)
    if (now.status === 'paused') waysOn(now).forEach(terminal.note)
  }
  return now.status === 'failed' ? codeFor(false) : exitCodes.done
}

async function recordsAfter({ client, signal }: Session, id: string, before: number): Promise<StepView[]> {
  const records: StepView[] = []
  for (let after = before; ;) {
    const { items, next } = await client.steps(id, { after, limit: 500, signal })
    records.push(...items.filter(({ kind }) => kind === 'step'))
    const last = items.at(-1)
    if (next === null || last === undefined) return records
    after = last.n
  }
}
