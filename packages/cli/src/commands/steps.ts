import type { StepView } from '@slipway/protocol/debugging'
import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import { count, positive } from '../options.ts'
import type { Cli } from '../session.ts'
import type { Terminal } from '../terminal.ts'
import { localTime, oneLine, padded } from '../text.ts'

interface StepsFlags {
  readonly flowIndex?: string
  readonly limit: number
  readonly after?: number
}

export function addSteps(program: Command, cli: Cli): void {
  program
    .command('steps')
    .description('List the records of a run: each step that was executed, and each change that a person made.')
    .argument('<run>', 'id of the run')
    .option('--flow-index <step>', 'only the executions of this step')
    .option('-n, --limit <n>', 'records on a page', positive, 100)
    .option('--after <n>', 'the page behind this record', count)
    .action(
      cli.act(async ({ client, terminal, json, printJson, signal }, id: string, flags: StepsFlags) => {
        const { flowIndex, limit, after } = flags
        const page = await client.steps(id, { flow_index: flowIndex, limit, after, signal })
        if (json) printJson(page)
        else if (page.items.length === 0) terminal.print('No step was executed.')
        else page.items.flatMap(record => recordLines(record, terminal)).forEach(terminal.print)
        if (page.next !== null) terminal.note(`Further ones: the same with --after ${page.next}`)
        return exitCodes.done
      }),
    )
}

/** One record on a line, and its errors below. */
export function recordLines(record: StepView, { paint }: Pick<Terminal, 'paint'>): string[] {
  const execution = record.execution === null ? '' : ` #${record.execution}`
  const isCommand = record.kind === 'command'
  const what = isCommand ? 'by hand' : `${record.flow_index ?? ''}${execution}`
  const status = paint(styleOf(record), padded(oneLine(record.status), 10))
  const when = paint('dim', localTime(record.at).slice(-8))
  const who = isCommand ? (record.detail ?? '') : outcome(record)
  return [
    `${String(record.n).padStart(5)} ${when} cycle ${padded(String(record.cycle), 4)} ${padded(oneLine(what), 14)} ${status} ${oneLine(who)}`.trimEnd(),
    ...record.errors.map(({ path, name, message }) =>
      paint('red', `      ${oneLine(`${path} ${name}: ${message}`).trim()}`),
    ),
  ]
}

/** What a step inferred, and what else it says of itself: most steps write their own concept and succeed. */
function outcome({ concept_name: concept, detail, changed }: StepView): string {
  const said = detail === null || detail === '' || detail === 'success' ? '' : ` (${detail})`
  const others = changed.filter(name => name !== concept)
  return `${concept ?? ''}${said}${others.length === 0 ? '' : ` → ${changed.join(', ')}`}`
}

function styleOf({ status, errors, kind }: StepView): 'green' | 'red' | 'yellow' | 'cyan' {
  if (kind === 'command') return 'cyan'
  if (status === 'failed') return 'red'
  return errors.length > 0 || status !== 'completed' ? 'yellow' : 'green'
}
