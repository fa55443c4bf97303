export interface CircuitTable {
  readonly organisation: string
  readonly name: string
  readonly version: number
  /** `enabled` or `paused`. */
  readonly state: string
  /** JSON. */
  readonly document: string
  readonly changed_at: number
  readonly changed_by: string
  /** The number of the newest message that it has looked at; null before it was ever enabled. */
  readonly seq: number | null
  readonly handed_on: number
  readonly held_back: number
  readonly failed: number
  readonly cut: number
  readonly last_problem: string | null
}

/** What a circuit was, the version in force included. */
export interface CircuitVersionTable {
  readonly organisation: string
  readonly name: string
  readonly version: number
  /** JSON. */
  readonly document: string
  readonly made_at: number
  readonly made_by: string
  /** The version whose document was put in force again. */
  readonly restored: number | null
}
