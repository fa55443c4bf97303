/** Where the order of steps stands. Steps are named as in `Item.name`. */
export type SchedulerState =
  | {
      readonly mode: 'sequential'
      /** Whether a cycle is under way. */
      readonly inCycle: boolean
      /** The steps that the cycle starts with, before all others in flow order. */
      readonly again: readonly string[]
      /** How many steps of the cycle had their turn. */
      readonly place: number
      readonly hasExecuted: boolean
      /** Steps of the cycle that ended without completing. */
      readonly retries: readonly string[]
    }
  | {
      readonly mode: 'parallel'
      readonly inCycle: boolean
      /** Flow indices of the steps that executed in the cycle. */
      readonly ran: readonly string[]
      /** Where the pass over the steps in flow order stands. */
      readonly place: number
      readonly hasStarted: boolean
      /** Steps that had their turn in the pass without being ready. */
      readonly passed: readonly string[]
    }

/** Before the first cycle. */
export function freshScheduler(parallel: boolean): SchedulerState {
  return parallel
    ? { mode: 'parallel', inCycle: false, ran: [], place: 0, hasStarted: false, passed: [] }
    : { mode: 'sequential', inCycle: false, again: [], place: 0, hasExecuted: false, retries: [] }
}

/**
 * The order after these steps were reset. It begins anew in the present cycle, so that what lies around or before other
 * steps comes before them again; what is done does not start a second time.
 */
export function withReset(state: SchedulerState, isReset: (name: string) => boolean): SchedulerState {
  if (state.mode === 'parallel') return { ...state, place: 0, hasStarted: false, passed: [] }
  const others = (names: readonly string[]): string[] => names.filter(name => !isReset(name))
  return { ...state, again: others(state.again), place: 0, retries: others(state.retries) }
}
