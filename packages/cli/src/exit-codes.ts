export const exitCodes = {
  done: 0,
  /** The run failed, or the plan or the machine has a problem. */
  failed: 1,
  wrongUse: 2,
  unreachable: 3,
  /** Ctrl-C: what was started goes on without us. */
  interrupted: 130,
} as const

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]
