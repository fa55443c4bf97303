import type { Run, RunDetails } from '@slipway/protocol/runs'
import { followRun } from '@slipway/sdk/event-stream'
import { exitCodes, type ExitCode } from './exit-codes.ts'
import { waysOn } from './held.ts'
import { openDisplay, type Display } from './live-display.ts'
import { askAtTerminal, questionLines } from './questions.ts'
import { codeFor, type Session } from './session.ts'
import { endLines, resultLines } from './show-run.ts'

type Watched = { readonly type: 'ended'; readonly run: RunDetails } | { readonly type: 'detached' }

export interface WatchOptions {
  /** Where plain lines go; standard output unless that carries JSON. */
  readonly line?: ((text: string) => void) | undefined
  /** The last event that is not told in lines any more: it was seen before. */
  readonly linesAfter?: number | undefined
}

/** Attempts in a row before a watcher gives up on the server: about half a minute. */
const maxAttempts = 8

/** Shows a run until it ends and then its result. */
export async function watchToEnd(session: Session, run: Run, options: WatchOptions = {}): Promise<ExitCode> {
  const { client, terminal, json, printJson, signal } = session
  const watched = await watchRun(session, run, options)
  if (watched.type === 'detached') {
    terminal.complain(howToGoOn(run.run_id))
    return exitCodes.interrupted
  }
  const result = watched.run.status === 'completed' ? await client.result(run.run_id, { signal }) : null
  if (json) printJson({ run: watched.run, result })
  else {
    endLines(watched.run, terminal).forEach(terminal.print)
    if (result) ['', ...resultLines(result, terminal)].forEach(terminal.print)
  }
  return codeFor(watched.run.status === 'completed')
}

/** Shows a run until it ends, asking a person at the terminal what the run asks. Ctrl-C leaves the run alone. */
export async function watchRun(session: Session, run: Run, options: WatchOptions = {}): Promise<Watched> {
  const { client, terminal, signal, json } = session
  const line = options.line ?? (json ? terminal.note : terminal.print)
  const live = terminal.live && !json && !session.globals.quiet
  const display = openDisplay(run, { terminal, line, live, linesAfter: options.linesAfter ?? 0 })
  try {
    await show(session, run, { display, line, after: options.linesAfter ?? 0 })
    return { type: 'ended', run: await client.run(run.run_id, { signal }) }
  } catch (error) {
    if (signal.aborted) return { type: 'detached' }
    throw error
  } finally {
    display.close()
  }
}

interface Shown {
  readonly display: Display
  readonly line: (text: string) => void
  /** Events up to this one are history. */
  readonly after: number
}

async function show(session: Session, run: Run, { display, line, after }: Shown): Promise<void> {
  const { client, signal } = session
  const told = new Set<string>()
  const events = followRun(client, run.run_id, {
    signal,
    maxAttempts,
    onConnection: state => display.connection(state.type === 'connected' ? null : state.reason),
  })
  for await (const event of events) {
    display.show(event)
    if (event.seq <= after) continue
    if (event.event === 'execution:paused' && !display.live) await tellWaysOn(session, run.run_id, line)
    if (event.event !== 'user_input:request') continue
    if (session.terminal.interactive && !session.json) {
      display.pause()
      await askAtTerminal(session, run.run_id, { signal })
      display.resume()
      continue
    }
    for (const question of await client.inputs({ runId: run.run_id, signal })) {
      if (told.has(question.input_id)) continue
      told.add(question.input_id)
      questionLines(question).forEach(line)
    }
  }
}

/** What can be done with a run that is paused now, and not only was when the event was written. */
async function tellWaysOn({ client, signal }: Session, id: string, line: (text: string) => void): Promise<void> {
  const run = await client.run(id, { signal })
  if (run.status === 'paused') waysOn(run).forEach(line)
}

function howToGoOn(runId: string): string {
  return `The run goes on. Follow it with \`slipway watch ${runId}\`, stop it with \`slipway stop ${runId}\`.`
}
