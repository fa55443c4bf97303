import { givenReference, type Program } from './program.ts'
import type { RunInput } from './run.ts'
import { loadState, type Snapshot } from './snapshot.ts'
import { RunState } from './state.ts'

/** What a run begins with. */
export interface RunStart {
  readonly mode: 'sequential' | 'parallel'
  readonly inputs: ReadonlyMap<string, RunInput>
  /** A state to go on from; the inputs are in it already then, and `inputs` does not count. */
  readonly from?: Snapshot | null | undefined
}

/** The state before the first step. */
export function startState(program: Program, { mode, inputs, from = null }: RunStart): RunState {
  const parallel = mode === 'parallel'
  if (from !== null) return loadState(program, from, { parallel })
  const state = new RunState(program, { parallel })
  for (const [name, { data, axes }] of inputs) {
    const concept = program.conceptNumbers.get(name)
    if (concept !== undefined) state.supply(concept, givenReference(data, axes))
  }
  return state
}
