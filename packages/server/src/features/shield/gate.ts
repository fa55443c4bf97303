import type { EnvelopeType, Trace } from '@slipway/protocol/bus/envelope'
import type { Identity } from '#http/authenticate'

/** A message before it is on the bus, and who sends it. */
export interface Outgoing {
  readonly by: Identity
  readonly topic: string
  readonly type: EnvelopeType
  readonly schema: string
  readonly payload: Uint8Array
  readonly trace: Trace | undefined
}

/** What every message goes through before the bus sees anything of it. */
export interface Gate {
  /** Throws `policy.denied`, or the code of what kept its policies from allowing it. */
  check(message: Outgoing): Promise<void>
}
