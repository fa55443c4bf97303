import type { Run, RunDetails } from '@slipway/protocol/runs'
import { followRun } from '@slipway/sdk/event-stream'
import { openDisplay, type Display } from './live-display.ts'
import { askAtTerminal, questionLines } from './questions.ts'
import type { Session } from './session.ts'

export type Watched = { readonly type: 'ended'; readonly run: RunDetails } | { readonly type: 'detached' }

export interface WatchOptions {
  /** Where plain lines go; standard output unless that carries JSON. */
  readonly line?: ((text: string) => void) | undefined
}

/** Attempts in a row before a watcher gives up on the server: about half a minute. */
const maxAttempts = 8

/** Shows a run until it ends, asking a person at the terminal what the run asks. Ctrl-C leaves the run alone. */
export async function watchRun(session: Session, run: Run, options: WatchOptions = {}): Promise<Watched> {
  const { client, terminal, signal, json } = session
  const line = options.line ?? (json ? terminal.note : terminal.print)
  const display = openDisplay(run, { terminal, line, live: terminal.live && !json && !session.globals.quiet })
  try {
    await show(session, run, { display, line })
    return { type: 'ended', run: await client.run(run.run_id, { signal }) }
  } catch (error) {
    if (signal.aborted) return { type: 'detached' }
    throw error
  } finally {
    display.close()
  }
}

async function show(
  session: Session,
  run: Run,
  { display, line }: { display: Display; line: (text: string) => void },
): Promise<void> {
  const { client, signal } = session
  const told = new Set<string>()
  const events = followRun(client, run.run_id, {
    signal,
    maxAttempts,
    onConnection: state => display.connection(state.type === 'connected' ? null : state.reason),
  })
  for await (const event of events) {
    display.show(event)
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

export function howToGoOn(runId: string): string {
  return `The run goes on. Follow it with \`slipway logs ${runId} --follow\`, stop it with \`slipway stop ${runId}\`.`
}
