import type { EngineEvent } from './records.ts'

/** Why no step starts at the moment although one could. */
export interface Held {
  readonly by: 'limit' | 'breakpoint' | 'step' | 'run_to'
  /** The step that would have started; for `run_to` the step that was run to. */
  readonly flowIndex: string
}

/** What lets steps start, apart from the host's own limit. */
export type GateMode =
  | { readonly type: 'open' }
  /** The step passes the breakpoint that it stands at, once. */
  | { readonly type: 'passing'; readonly flowIndex: string }
  /** One step may start. */
  | { readonly type: 'stepping' }
  | { readonly type: 'stepped' }
  /** Steps start until this one has executed; `passes` is a breakpoint that the run stood at. */
  | { readonly type: 'running_to'; readonly flowIndex: string; readonly passes: string | null }
  | { readonly type: 'stopped'; readonly by: 'breakpoint' | 'run_to'; readonly flowIndex: string }

export interface GateState {
  /** Flow indices, in the order in which they were set. */
  readonly breakpoints: readonly string[]
  readonly mode: GateMode
}

export const openGate: GateState = { breakpoints: [], mode: { type: 'open' } }

/**
 * Decides whether a step that could start may start. A step is asked about at the same moment whatever the host's limit
 * is, so that a replay under another limit hits the same breakpoints.
 */
export class Gate {
  #state: GateState = openGate
  #limit: number | null = null

  get state(): GateState {
    return this.#state
  }

  set state(state: GateState) {
    this.#state = state
  }

  get limit(): number | null {
    return this.#limit
  }

  /** No step starts once this many executions have started in the run; null for no limit. */
  set limit(most: number | null) {
    this.#limit = most
  }

  /** Why the step may not start, or null when it may. Tells of a breakpoint that was hit. */
  holds(
    flowIndex: string,
    options: { readonly starts: number; readonly emit: (hit: Hit) => void; readonly execution: number },
  ): Held | null {
    const { mode } = this.#state
    if (mode.type === 'stopped') return { by: mode.by, flowIndex: mode.flowIndex }
    if (mode.type === 'stepped') return { by: 'step', flowIndex }
    if (this.#isBreak(flowIndex)) {
      this.#state = { ...this.#state, mode: { type: 'stopped', by: 'breakpoint', flowIndex } }
      options.emit({ type: 'breakpoint:hit', flowIndex, execution: options.execution })
      return { by: 'breakpoint', flowIndex }
    }
    return this.#limit !== null && options.starts >= this.#limit ? { by: 'limit', flowIndex } : null
  }

  /** A step was let through and has started. */
  started(flowIndex: string): void {
    const { mode } = this.#state
    if (mode.type === 'stepping') this.#become({ type: 'stepped' })
    else if (mode.type === 'passing' && mode.flowIndex === flowIndex) this.#become({ type: 'open' })
    else if (mode.type === 'running_to' && mode.passes === flowIndex) this.#become({ ...mode, passes: null })
  }

  /** An execution of a step has ended. */
  ended(flowIndex: string): void {
    const { mode } = this.#state
    if (mode.type !== 'running_to' || mode.flowIndex !== flowIndex) return
    this.#become({ type: 'stopped', by: 'run_to', flowIndex })
  }

  #become(mode: GateMode): void {
    this.#state = { ...this.#state, mode }
  }

  #isBreak(flowIndex: string): boolean {
    const { breakpoints, mode } = this.#state
    if (breakpoints.length === 0 || !breakpoints.includes(flowIndex)) return false
    if (mode.type === 'stepping') return false
    return (
      !(mode.type === 'passing' && mode.flowIndex === flowIndex) &&
      !(mode.type === 'running_to' && mode.passes === flowIndex)
    )
  }
}

type Hit = Extract<EngineEvent, { readonly type: 'breakpoint:hit' }>

/** Where the run stands when it stands at a breakpoint. */
export function standsAt({ mode }: GateState): string | null {
  return mode.type === 'stopped' && mode.by === 'breakpoint' ? mode.flowIndex : null
}

/** The gate after somebody lets the run go on. */
export function continued(gate: GateState): GateState {
  const { type } = gate.mode
  if (type !== 'stopped' && type !== 'stepped') return gate
  const stand = standsAt(gate)
  return { ...gate, mode: stand === null ? { type: 'open' } : { type: 'passing', flowIndex: stand } }
}
