import type { RunCost, RunDiff, StepDiff } from '@slipway/protocol/checkpoints'
import { writeJson } from '@slipway/sdk/json'
import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import { positive } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { duration, grouped, oneLine, plain, table, truncated } from '../text.ts'

interface DiffFlags {
  readonly limit: number
  readonly full?: boolean
}

export function addDiff(program: Command, cli: Cli): void {
  program
    .command('diff')
    .description('Show what two runs did differently: inputs, steps, values, prompts, results and cost.')
    .argument('<a>', 'id of a run')
    .argument('<b>', 'id of the other run')
    .option('-n, --limit <n>', 'most differences to list', positive, 50)
    .option('--full', 'do not shorten values and prompts')
    .action(
      cli.act(async ({ client, terminal, json, printJson, signal }, a: string, b: string, flags: DiffFlags) => {
        const diff = await client.diff(a, b, { limit: flags.limit, signal })
        if (json) printJson(diff)
        else {
          const style = { paint: terminal.paint, width: flags.full ? null : terminal.columns() }
          diffLines(diff, style).forEach(terminal.print)
          if (diff.truncated) terminal.note('There are more differences. List more with --limit.')
        }
        return exitCodes.done
      }),
    )
}

export interface DiffStyle {
  readonly paint: Session['terminal']['paint']
  /** Longest line; null when nothing is cut. */
  readonly width: number | null
}

export function diffLines(diff: RunDiff, style: DiffStyle): string[] {
  const { a, b, common, inputs, steps, finals } = diff
  const changedFinals = finals.filter(({ equal }) => !equal)
  const same = inputs.length === 0 && steps.length === 0 && changedFinals.length === 0
  const facts = `${steps.length}${diff.truncated ? ' or more' : ''} steps differ, ${diff.equal_steps} are equal`
  return [
    `${style.paint('red', '-')} ${a.run_id}  ${a.plan_id} ${a.plan_version}  ${a.status}`,
    `${style.paint('green', '+')} ${b.run_id}  ${b.plan_id} ${b.plan_version}  ${b.status}`,
    ...(common === null ? [] : [`The same history up to step ${common.step} of ${common.run_id}.`]),
    same ? `No differences: ${diff.equal_steps} steps are equal.` : `${facts}.`,
    ...section(
      'Inputs',
      inputs.flatMap(input => [`  ${oneLine(input.concept_name)}`, ...sides(input, style)]),
      style,
    ),
    ...section(
      'Steps',
      steps.flatMap(step => stepLines(step, style)),
      style,
    ),
    ...section(
      'Results',
      changedFinals.flatMap(final => [`  ${oneLine(final.concept_name)}`, ...sides(final, style)]),
      style,
    ),
    ...section('Cost', costLines(diff.cost), style),
  ]
}

function section(title: string, lines: readonly string[], { paint }: DiffStyle): string[] {
  return lines.length === 0 ? [] : ['', paint('bold', title), ...lines]
}

const words: Readonly<Record<StepDiff['difference'], string>> = {
  only_a: 'only in the first run',
  only_b: 'only in the second run',
  status: 'ended otherwise',
  value: 'wrote another value',
  prompt: 'was asked otherwise',
}

function stepLines(step: StepDiff, style: DiffStyle): string[] {
  const { a, b } = step.status
  const heading = `  ${oneLine(`${step.flow_index} ${step.concept_name}`)} #${step.execution} ${words[step.difference]}`
  const { prompt, value } = step
  const only = step.difference === 'only_a' ? '-' : step.difference === 'only_b' ? '+' : null
  if (only !== null) {
    const wrote = value === null ? [] : ['    wrote', ...side(only, shown(only === '-' ? value.a : value.b), style)]
    return [heading, ...wrote]
  }
  return [
    heading,
    ...(a === b ? [] : sides({ a, b }, style)),
    ...(prompt === null ? [] : ['    asked', ...sides(prompt, style)]),
    ...(value === null ? [] : ['    wrote', ...sides(value, style)]),
  ]
}

function sides({ a, b }: { readonly a: unknown; readonly b: unknown }, style: DiffStyle): string[] {
  const [left, right] = [shown(a), shown(b)]
  const start = style.width === null ? 0 : sameStart(oneLine(left), oneLine(right), style.width)
  return [...side('-', left, { ...style, start }), ...side('+', right, { ...style, start })]
}

function shown(value: unknown): string {
  return plain(typeof value === 'string' ? value : (writeJson(value) ?? 'null'))
}

// What both have in common is worth a few characters where there is no room for all.
const keptOfSame = 20

/** How much of two texts to leave out at their beginning, so that what differs is seen. */
function sameStart(a: string, b: string, width: number): number {
  if (Math.max(a.length, b.length) < width - 6) return 0
  let same = 0
  while (same < a.length && same < b.length && a[same] === b[same]) same++
  return Math.max(0, same - keptOfSame)
}

function side(
  mark: '-' | '+',
  text: string,
  { paint, width, start = 0 }: DiffStyle & { readonly start?: number },
): string[] {
  const color = mark === '-' ? 'red' : 'green'
  const cut = `${start > 0 ? '…' : ''}${oneLine(text).slice(start)}`
  const lines = width === null ? text.split('\n') : [truncated(cut, Math.max(20, width - 6))]
  return lines.map(line => `    ${paint(color, `${mark} ${line}`)}`)
}

function costLines({ a, b }: RunDiff['cost']): string[] {
  const facts: readonly (readonly [string, (cost: RunCost) => string])[] = [
    ['steps', cost => grouped(cost.steps)],
    ['calls', cost => grouped(cost.calls)],
    ['model calls', cost => grouped(cost.model_calls)],
    ['tokens', cost => `${grouped(cost.input_tokens)} + ${grouped(cost.output_tokens)}`],
    ['time of calls', cost => duration(cost.call_ms)],
    ['wall time', cost => (cost.wall_ms === null ? '' : duration(cost.wall_ms))],
  ]
  return table(
    ['  ', 'FIRST', 'SECOND'],
    facts.map(([name, of]) => [`  ${name}`, of(a), of(b)]),
    { width: 80 },
  )
    .split('\n')
    .map(line => `  ${line}`)
}
