import type { RunEvent } from '@slipway/protocol/events'
import type { TraceCall } from '@slipway/protocol/runs'
import { followRun } from '@slipway/sdk/event-stream'
import { writeJson } from '@slipway/sdk/json'
import type { Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import type { Cli, Session } from '../session.ts'
import { duration, oneLine, plain, truncated } from '../text.ts'

interface LogsFlags {
  readonly follow?: boolean
  readonly trace?: boolean
  readonly type?: string
  readonly full?: boolean
}

export function addLogs(program: Command, cli: Cli): void {
  program
    .command('logs')
    .description('Show what happened in a run: its events, or with --trace every call to models, scripts and files.')
    .argument('<run>', 'id of the run')
    .option('-f, --follow', 'go on until the run ends')
    .option('--trace', 'the calls with what went in and came out')
    .option('--type <type>', 'only types that begin with this, such as inference: or model.')
    .option('--full', 'do not shorten what went in and came out')
    .action(
      cli.act((session, id: string, flags: LogsFlags) => (flags.trace ? showTrace : showEvents)(session, id, flags)),
    )
}

/** How long an unfinished run's log may be silent before everything there is counts as read. */
const quietMs = 500

async function showEvents(
  { client, terminal, json, signal }: Session,
  id: string,
  flags: LogsFlags,
): Promise<ExitCode> {
  const run = await client.run(id, { signal })
  const ended = run.status === 'completed' || run.status === 'failed'
  const done = new AbortController()
  const events = followRun(client, id, { signal: AbortSignal.any([signal, done.signal]), maxAttempts: 8 })
  try {
    for (;;) {
      const next = await (flags.follow || ended ? events.next() : nextWithin(events, quietMs))
      if (next === 'quiet' || next.done) break
      if (flags.type !== undefined && !next.value.event.startsWith(flags.type)) continue
      terminal.print(json ? writeJson(next.value) : eventLine(next.value, terminal.columns(), flags.full))
    }
  } catch (error) {
    if (signal.aborted) return exitCodes.interrupted
    throw error
  } finally {
    // A read that is still under way holds the connection, and with it the process.
    done.abort(new DOMException('Read', 'AbortError'))
  }
  return exitCodes.done
}

async function nextWithin(events: AsyncGenerator<RunEvent>, ms: number): Promise<IteratorResult<RunEvent> | 'quiet'> {
  const quiet = Promise.withResolvers<'quiet'>()
  const timer = setTimeout(() => quiet.resolve('quiet'), ms)
  try {
    return await Promise.race([events.next(), quiet.promise])
  } finally {
    clearTimeout(timer)
  }
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
    const { items } = await client.trace(id, { after, limit: 200, signal })
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
  return [paint(call.error ? 'red' : 'bold', head), ...body('→', call.inputs), ...outcome]
}
