import { sleep } from '@slipway/kit/abort'
import type { LogLine } from '@slipway/protocol/debugging'
import { AppError } from '@slipway/protocol/errors'
import type { RunEvent } from '@slipway/protocol/events'
import type { TraceCall } from '@slipway/protocol/runs'
import { writeJson } from '@slipway/sdk/json'
import { Option, type Command } from 'commander'
import { runEvents } from '../events-so-far.ts'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import type { Cli, Session } from '../session.ts'
import { duration, oneLine, plain, truncated } from '../text.ts'

interface LogsFlags {
  readonly follow?: boolean
  readonly trace?: boolean
  readonly type?: string
  readonly full?: boolean
  readonly flowIndex?: string
  readonly level?: LogLine['level']
}

export function addLogs(program: Command, cli: Cli): void {
  program
    .command('logs')
    .description(
      'Show what happened in a run: its events, with --trace every call to models, scripts and files, with --level words.',
    )
    .argument('<run>', 'id of the run')
    .option('-f, --follow', 'go on until the run ends')
    .option('--trace', 'the calls with what went in and came out')
    .option('--type <type>', 'only types that begin with this, such as inference: or model.')
    .option('--flow-index <step>', 'only what belongs to this step')
    .addOption(
      new Option('--level <level>', 'the log in words: all of it, or what went wrong').choices([
        'info',
        'warning',
        'error',
      ]),
    )
    .option('--full', 'do not shorten what went in and came out')
    .action(
      cli.act((session, id: string, flags: LogsFlags) => {
        if (flags.level === undefined) return (flags.trace ? showTrace : showEvents)(session, id, flags)
        if (flags.trace || flags.type !== undefined)
          throw new AppError(
            'input.invalid',
            '--level shows the log in words; it goes with neither --trace nor --type.',
          )
        return showWords(session, id, flags)
      }),
    )
}

async function showEvents(session: Session, id: string, flags: LogsFlags): Promise<ExitCode> {
  const { terminal, json, signal } = session
  try {
    for await (const event of runEvents(session, id, { follow: flags.follow ?? false })) {
      if (flags.type !== undefined && !event.event.startsWith(flags.type)) continue
      if (flags.flowIndex !== undefined && event['flow_index'] !== flags.flowIndex) continue
      terminal.print(json ? writeJson(event) : eventLine(event, terminal.columns(), flags.full))
    }
  } catch (error) {
    if (signal.aborted) return exitCodes.interrupted
    throw error
  }
  return exitCodes.done
}

const envelope = new Set(['event', 'id', 'seq', 'run_id', 'ts'])

function eventLine(event: RunEvent, width: number, full = false): string {
  const own = Object.entries(event).filter(([name]) => !envelope.has(name))
  const facts = own.map(([name, value]) => `${name}=${typeof value === 'string' ? oneLine(value) : writeJson(value)}`)
  const line = `${clock(event.ts)} ${String(event.seq).padStart(4)} ${event.event.padEnd(21)} ${oneLine(facts.join(' '))}`
  return full ? line : truncated(line.trimEnd(), Math.max(width, 80))
}

function clock(ms: number): string {
  const date = new Date(ms)
  return `${date.toLocaleTimeString('sv-SE')}.${String(date.getMilliseconds()).padStart(3, '0')}`
}

async function showTrace({ client, terminal, json, signal }: Session, id: string, flags: LogsFlags): Promise<ExitCode> {
  let after = 0
  for (;;) {
    const { items } = await client.trace(id, { after, limit: 200, flow_index: flags.flowIndex, signal })
    for (const call of items) {
      if (flags.type !== undefined && !call.type.startsWith(flags.type)) continue
      if (json) terminal.print(writeJson(call))
      else
        traceLines(call, { width: terminal.columns(), full: flags.full ?? false, paint: terminal.paint }).forEach(
          terminal.print,
        )
    }
    const last = items.at(-1)
    if (last === undefined || items.length < 200) return exitCodes.done
    after = last.n
  }
}

const wordsPerPage = 500
const lookEveryMs = 500

async function showWords({ client, terminal, json, signal }: Session, id: string, flags: LogsFlags): Promise<ExitCode> {
  const { level, flowIndex, follow = false } = flags
  let after = 0
  try {
    for (;;) {
      // Asked first, so that nothing is missed of a run that ends meanwhile.
      const { status } = await client.run(id, { signal })
      const { items, next } = await client.logs(id, {
        after,
        limit: wordsPerPage,
        level,
        flow_index: flowIndex,
        signal,
      })
      for (const line of items) terminal.print(json ? writeJson(line) : wordsLine(line, terminal.paint))
      after = items.at(-1)?.seq ?? after
      if (next !== null) continue
      if (after === 0 && !follow) terminal.note('Nothing of that kind was logged.')
      if (!follow || status === 'completed' || status === 'failed') return exitCodes.done
      await sleep(lookEveryMs, signal)
    }
  } catch (error) {
    if (signal.aborted) return exitCodes.interrupted
    throw error
  }
}

const levelStyles = { info: 'dim', warning: 'yellow', error: 'red' } as const

function wordsLine(line: LogLine, paint: Session['terminal']['paint']): string {
  const where = line.flow_index === null ? '' : ` ${oneLine(line.flow_index)}`
  return `${clock(Date.parse(line.at))} ${paint(levelStyles[line.level], line.level.padEnd(7))}${where} ${oneLine(line.message)}`
}

interface TraceStyle {
  readonly width: number
  readonly full: boolean
  readonly paint: Session['terminal']['paint']
}

function traceLines(call: TraceCall, { width, full, paint }: TraceStyle): string[] {
  const tokens = call.input_tokens === null ? '' : `, ${call.input_tokens} + ${call.output_tokens ?? 0} tokens`
  const model = call.model === null ? '' : ` ${oneLine(call.model)}`
  const head = `${String(call.n).padStart(4)} ${oneLine(`${call.type}${model}`)} ${oneLine(`${call.flow_index} ${call.concept_name}`)} (${duration(call.duration_ms)}${tokens})`
  const body = (label: string, value: unknown): string[] => {
    const text = plain(typeof value === 'string' ? value : (writeJson(value) ?? ''))
    if (full) return [`     ${label}`, ...text.split('\n').map(line => `       ${line}`)]
    return [`     ${label} ${truncated(oneLine(text), Math.max(20, width - 9))}`]
  }
  const outcome = call.error ? body('!', `${call.error.name}: ${call.error.message}`) : body('←', call.output)
  const again = call.repeated ? ['     ! made again after a crash: the outside may have seen it twice'] : []
  return [paint(call.error ? 'red' : 'bold', head), ...again, ...body('→', call.inputs), ...outcome]
}
