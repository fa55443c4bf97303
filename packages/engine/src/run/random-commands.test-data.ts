import { encodeReference, decodeReference, decodeSnapshot, encodeSnapshot } from './codec.ts'
import type { Command } from './commands.ts'
import { PyDict } from '#value/value'
import { answered, Told } from './playing.fixture.ts'
import type { EffectOutcome } from './effects.ts'
import type { Choices } from './random-plan.test-data.ts'
import type { Run } from './run.ts'
import type { Snapshot } from './snapshot.ts'

/** What a host writes down of a run: what it gave it, in order. */
export type JournalInput =
  | { readonly type: 'outcome'; readonly key: string; readonly outcome: EffectOutcome }
  | { readonly type: 'command'; readonly command: Command; readonly starts: number }

const VALUES = [['a', 'b'], 'true', [], ['l'], 7, '%(3)']

/** Some command; it may be one that is refused. */
export function randomCommand(run: Run, choices: Choices, snapshots: readonly Snapshot[]): Command {
  const flowIndex = choices.of(run.program.slots).flowIndex
  const concept = choices.of(run.program.concepts).entry.conceptName
  const value = { data: choices.of(VALUES), axes: choices.of([null, null, ['x']]) }
  const changes = choices.of([new PyDict(), PyDict.from({ paradigm: 'ask' }), PyDict.from({ paradigm: 'none' })])
  const often = choices.below(2) === 0
  const commands: Command[] = [
    { type: 'continue' },
    { type: 'set_breakpoint', flowIndex },
    { type: 'clear_breakpoint', flowIndex },
    { type: 'clear_breakpoints' },
    { type: 'step' },
    { type: 'run_to', flowIndex },
    { type: 'override', concept, value, rerunDependents: often },
    { type: 'override', concept, value, rerunDependents: often },
    { type: 'rerun', flowIndex },
    { type: 'rerun', flowIndex },
    { type: 'modify', flowIndex, changes, prompt: choices.of([null, 'asked anew']), retry: often },
    snapshots.length > 0 ? { type: 'restore', snapshot: choices.of(snapshots) } : { type: 'continue' },
    choices.below(3) === 0 ? { type: 'cancel', reason: 'enough' } : { type: 'continue' },
  ]
  return choices.of(commands)
}

export interface Steered {
  readonly told: Told
  readonly journal: readonly JournalInput[]
  /** Each with the number of journal inputs that it contains. */
  readonly snapshots: readonly { readonly text: string; readonly inputs: number }[]
}

/** Plays a run to its end and gives it commands on the way, at most `most` of them. */
export function steer(run: Run, choices: Choices, { most }: { readonly most: number }): Steered {
  const told = new Told()
  const journal: JournalInput[] = []
  const snapshots: { readonly text: string; readonly inputs: number }[] = []
  const known: Snapshot[] = []
  let left = most
  for (;;) {
    if (choices.below(3) === 0) run.requestSnapshot()
    const { end, held, more, snapshot } = told.take(run)
    if (snapshot !== null) {
      const text = encodeSnapshot(snapshot, encodeReference)
      snapshots.push({ text, inputs: journal.length })
      known.push(decodeSnapshot(text, decodeReference))
    }
    if (end !== null && (left <= 0 || choices.below(2) === 0)) return { told, journal, snapshots }
    const isStuck = end !== null || (held !== null && told.isQuiet)
    if (left > 0 && choices.below(isStuck ? 1 : 4) === 0) {
      left--
      give(run, { told, journal }, [randomCommand(run, choices, known)])
    } else if (isStuck) give(run, { told, journal }, [{ type: 'clear_breakpoints' }, { type: 'continue' }])
    else if (!more) answerOne(run, { told, journal }, choices)
  }
}

interface Written {
  readonly told: Told
  readonly journal: JournalInput[]
}

function answerOne(run: Run, { told, journal }: Written, choices: Choices): void {
  const [request] = told.waiting.splice(choices.below(told.waiting.length), 1)
  if (request === undefined) throw new Error('The run waits for nothing.')
  const outcome = answered(request)
  journal.push({ type: 'outcome', key: request.key, outcome })
  run.resolve(request.key, outcome)
}

function give(run: Run, { told, journal }: Written, commands: readonly Command[]): void {
  for (const command of commands) {
    if (run.command(command) !== null) continue
    // What was being computed has ended first, so the number of starts is the one at which it was applied.
    journal.push({ type: 'command', command, starts: run.starts })
    told.drop(run)
  }
}

/** Gives a run what was written down, in order and each command at its place. */
export function replayInputs(run: Run, journal: readonly JournalInput[]): Told {
  const told = new Told()
  const commands = journal.filter(input => input.type === 'command')
  const takeAll = (): void => {
    while (told.take(run).more);
  }
  run.limitStarts(commands.shift()?.starts ?? null)
  takeAll()
  for (const input of journal) {
    if (input.type === 'outcome') {
      if (!run.resolve(input.key, input.outcome)) throw new Error(`Nothing waits for ${input.key}.`)
    } else {
      const refusal = run.command(input.command)
      if (refusal !== null) throw new Error(refusal.message)
      run.limitStarts(commands.shift()?.starts ?? null)
    }
    takeAll()
  }
  return told
}
