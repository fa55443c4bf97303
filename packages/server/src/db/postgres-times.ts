/** How long things may take between a server and Postgres, in milliseconds. */
export interface PostgresTimes {
  readonly connectMs: number
  /** Postgres ends a statement after this. */
  readonly statementMs: number
  /** A statement without an answer for this long went to a database that is not there any more. */
  readonly answerMs: number
  /** How often the connection that listens is tried, and how long Postgres may take to answer. */
  readonly heartbeatMs: number
  readonly heartbeatAnswerMs: number
  /** A server that stops in the middle of a transaction must not keep others from the rows that it has locked. */
  readonly idleInTransactionMs: number
}

/** All of them as they belong to the longest time that a statement may take. */
export function postgresTimes(timeoutMs: number): PostgresTimes {
  return {
    connectMs: Math.min(10_000, timeoutMs),
    statementMs: timeoutMs,
    answerMs: Math.round((timeoutMs * 4) / 3),
    heartbeatMs: Math.round(timeoutMs / 3),
    heartbeatAnswerMs: Math.max(1_000, Math.round(timeoutMs / 6)),
    idleInTransactionMs: Math.round(timeoutMs / 2),
  }
}

/**
 * Settings of a session, as parts of a `select`, with which Postgres notices when the server at the other end is cut
 * off, and lets go of its locks. Where a network drops packets silently nothing else would tell it: systems take two
 * hours usually, and a quarter of one where something was on its way. A socket of the file system has no such settings.
 */
export function lossSettings(timeoutMs: number): string {
  const seconds = (ms: number): number => Math.max(1, Math.round(ms / 1000))
  return `set_config('tcp_keepalives_idle', '${seconds(timeoutMs / 3)}', false),
    set_config('tcp_keepalives_interval', '${seconds(timeoutMs / 15)}', false),
    set_config('tcp_keepalives_count', '5', false),
    set_config('tcp_user_timeout', '${timeoutMs}', false)`
}
