import { z } from 'zod'
import { busSettings } from './bus-settings.ts'
import { count, type Setting } from './setting.ts'

const port = z.coerce.number().int().min(0).max(65_535)
const database = z
  .string()
  .refine(isDatabase, 'Neither a URL postgres://user:password@host:5432/name nor the path of a SQLite file.')
const list = z.preprocess(
  value =>
    typeof value === 'string'
      ? value
          .split(',')
          .map(item => item.trim())
          .filter(Boolean)
      : (value ?? []),
  z.array(z.string()),
)

/**
 * Every setting of the server. The table makes the parser, the error at start, the reference page and `slipway config`.
 */
export const settings = {
  host: {
    variables: ['SLIPWAY_HOST', 'NORMCODE_HOST'],
    yaml: 'server.host',
    type: z.string().min(1),
    fallback: '127.0.0.1',
    says: 'Address to listen on. Any but a loopback address needs SLIPWAY_API_TOKEN.',
  },
  port: {
    variables: ['SLIPWAY_PORT', 'API_PORT', 'NORMCODE_PORT'],
    yaml: 'server.port',
    type: port,
    fallback: 8000,
    says: 'Port of the API, the sockets and the page. 0 takes a free one.',
  },
  dataDir: {
    variables: ['SLIPWAY_DATA_DIR', 'NORMCODE_DATA_DIR'],
    type: z.string().min(1),
    fallback: './data',
    says: 'Folder of the database, the plans, the runs and config/.',
  },
  databaseUrl: {
    variables: ['SLIPWAY_DATABASE_URL', 'DATABASE_URL'],
    type: database.nullable(),
    fallback: null,
    says: 'Postgres to keep everything in, `postgres://user:password@host:5432/name`, or a SQLite file, relative to the data folder. Without it `slipway.db` there.',
    secret: true,
  },
  databasePoolSize: {
    variables: ['SLIPWAY_DATABASE_POOL_SIZE'],
    yaml: 'storage.database_pool_size',
    type: z.coerce.number().int().min(2).max(1000),
    fallback: 10,
    says: 'Most connections to Postgres at a time, besides one that listens.',
  },
  databaseTimeoutSeconds: {
    variables: ['SLIPWAY_DATABASE_TIMEOUT_SECONDS'],
    yaml: 'storage.database_timeout_seconds',
    type: z.coerce.number().int().min(2).max(600),
    fallback: 30,
    says: 'After how many seconds a statement on Postgres is given up, and a Postgres that does not answer counts as cut off; a third more where it does not answer at all. In as many seconds Postgres lets go of a server that is cut off.',
  },
  plansDir: {
    variables: ['SLIPWAY_PLANS_DIR', 'NORMCODE_PLANS_DIR'],
    yaml: 'storage.plans_dir',
    type: z.string().min(1),
    fallback: 'plans',
    says: 'Folder of the deployed packages. A relative path is inside the data folder.',
  },
  runsDir: {
    variables: ['SLIPWAY_RUNS_DIR', 'NORMCODE_RUNS_DIR'],
    yaml: 'storage.runs_dir',
    type: z.string().min(1),
    fallback: 'runs',
    says: "Folder of the runs' own files. A relative path is inside the data folder.",
  },
  apiToken: {
    variables: ['SLIPWAY_API_TOKEN'],
    type: z.string().min(16).nullable(),
    fallback: null,
    says: 'Bearer token of the operator, who may do everything in every organisation. At least 16 characters. With it, or once a token was made, the server asks everybody for one.',
    secret: true,
  },
  trustedHosts: {
    variables: ['SLIPWAY_TRUSTED_HOSTS', 'TRUSTED_HOSTS'],
    yaml: 'server.trusted_hosts',
    type: list,
    fallback: '',
    says: 'Further names, separated by commas, that a Host header may carry besides the loopback names and the address listened on.',
  },
  corsOrigins: {
    variables: ['SLIPWAY_CORS_ORIGINS', 'CORS_ORIGINS'],
    yaml: 'server.cors_origins',
    type: list,
    fallback: '',
    says: 'Origins of other sites, separated by commas, whose pages may call the API and open sockets.',
  },
  maxBodyBytes: {
    variables: ['SLIPWAY_MAX_BODY_BYTES'],
    yaml: 'server.max_body_bytes',
    type: count,
    fallback: 104_857_600,
    says: 'Largest request body in bytes, uploads included.',
  },
  maxPlanBytes: {
    variables: ['SLIPWAY_MAX_PLAN_BYTES'],
    yaml: 'server.max_plan_bytes',
    type: count,
    fallback: 268_435_456,
    says: 'Largest size of all files of a plan package in bytes, unpacked.',
  },
  rateLimitPerMinute: {
    variables: ['SLIPWAY_RATE_LIMIT_PER_MINUTE'],
    yaml: 'server.rate_limit_per_minute',
    type: count,
    fallback: 6000,
    says: 'Requests a minute from one address before 429.',
  },
  maxConcurrentRuns: {
    variables: ['SLIPWAY_MAX_CONCURRENT_RUNS'],
    yaml: 'execution.max_concurrent_runs',
    type: count,
    fallback: 10,
    says: 'Runs that execute at the same time; further ones wait in order.',
  },
  defaultMaxCycles: {
    variables: ['SLIPWAY_DEFAULT_MAX_CYCLES', 'NORMCODE_MAX_CYCLES'],
    yaml: 'execution.default_max_cycles',
    type: count,
    fallback: 100,
    says: 'Cycles of a run where neither the request nor the plan says.',
  },
  checkpointFrequency: {
    variables: ['SLIPWAY_CHECKPOINT_FREQUENCY'],
    yaml: 'execution.checkpoint_frequency',
    type: count,
    fallback: 5,
    says: 'Cycles between two snapshots of a run, at least; a cycle of more than 500 steps has some within. Every record is a checkpoint anyway; a snapshot only shortens loading.',
  },
  leaseSeconds: {
    variables: ['SLIPWAY_LEASE_SECONDS'],
    yaml: 'execution.lease_seconds',
    type: z.coerce.number().int().min(1).max(3600),
    fallback: 10,
    says: 'After how many seconds another server of the same database takes over the runs of one that stands still or is cut off. Those of one that has ended are taken over at once.',
  },
  stalledAfterSeconds: {
    variables: ['SLIPWAY_STALLED_AFTER_SECONDS'],
    yaml: 'execution.stalled_after_seconds',
    type: count,
    fallback: 300,
    says: 'After how many seconds without an answer to any call a run is said to be stalled, in its events and in the log.',
  },
  defaultDialect: {
    variables: ['SLIPWAY_DEFAULT_DIALECT'],
    yaml: 'execution.default_dialect',
    type: z.enum(['2026-01', '2026-01-strict', '2026-03']),
    fallback: '2026-01',
    says: 'Dialect of plans that neither name one nor show one.',
  },
  retentionDays: {
    variables: ['SLIPWAY_RETENTION_DAYS'],
    yaml: 'retention.days',
    type: z.coerce.number().min(0),
    fallback: 30,
    says: 'Days for which a run is kept after its end, where its plan does not say; 0 keeps runs for ever.',
  },
  retentionRuns: {
    variables: ['SLIPWAY_RETENTION_RUNS'],
    yaml: 'retention.runs',
    type: z.coerce.number().int().min(0),
    fallback: 1000,
    says: 'Runs of each plan that are kept after their end, the newest, where the plan does not say; 0 keeps any number.',
  },
  spineLeaseSeconds: {
    variables: ['SLIPWAY_SPINE_LEASE_SECONDS'],
    yaml: 'spine.lease_seconds',
    type: z.coerce.number().int().min(1).max(3600),
    fallback: 30,
    says: 'How long a job is handed out where the operator does not say; a heartbeat makes it longer, and without one it is handed out again.',
  },
  spineCancelGraceSeconds: {
    variables: ['SLIPWAY_SPINE_CANCEL_GRACE_SECONDS'],
    yaml: 'spine.cancel_grace_seconds',
    type: z.coerce.number().int().min(0).max(3600),
    fallback: 10,
    says: 'How long an operator has to end a cancelled job by itself before it ends anyway.',
  },
  spineMaxQueueJobs: {
    variables: ['SLIPWAY_SPINE_MAX_QUEUE_JOBS'],
    yaml: 'spine.max_queue_jobs',
    type: count,
    fallback: 100_000,
    says: 'Jobs that one organisation may have in one topic before further ones are refused; those that are over do not count.',
  },
  spineMaxJobs: {
    variables: ['SLIPWAY_SPINE_MAX_JOBS'],
    yaml: 'spine.max_jobs',
    type: count,
    fallback: 1_000_000,
    says: 'Jobs of all organisations and topics before further ones are refused; those that are over do not count.',
  },
  spineMaxStreamPieces: {
    variables: ['SLIPWAY_SPINE_MAX_STREAM_PIECES'],
    yaml: 'spine.max_stream_pieces',
    type: count,
    fallback: 10_000,
    says: 'Pieces that are kept of the stream of one job, the newest.',
  },
  spineRetentionDays: {
    variables: ['SLIPWAY_SPINE_RETENTION_DAYS'],
    yaml: 'spine.retention_days',
    type: z.coerce.number().min(0),
    fallback: 7,
    says: 'Days for which a job is kept after its end, with its result and stream; 0 keeps jobs for ever.',
  },
  spineRetentionJobs: {
    variables: ['SLIPWAY_SPINE_RETENTION_JOBS'],
    yaml: 'spine.retention_jobs',
    type: z.coerce.number().int().min(0),
    fallback: 100_000,
    says: 'Jobs of one organisation and topic that are kept after their end, the newest, dead ones apart; 0 keeps any number.',
  },
  spineDeadDays: {
    variables: ['SLIPWAY_SPINE_DEAD_DAYS'],
    yaml: 'spine.dead_days',
    type: z.coerce.number().min(0),
    fallback: 30,
    says: 'Days for which a dead job is kept for somebody to redrive or discard it; 0 keeps it for ever.',
  },
  spineMessageDays: {
    variables: ['SLIPWAY_SPINE_MESSAGE_DAYS'],
    yaml: 'spine.message_days',
    type: z.coerce.number().min(0),
    fallback: 7,
    says: 'Days for which messages that are of no job are kept; 0 keeps them for ever.',
  },
  spineMessages: {
    variables: ['SLIPWAY_SPINE_MESSAGES'],
    yaml: 'spine.messages',
    type: z.coerce.number().int().min(0),
    fallback: 1_000_000,
    says: 'Messages that are of no job are kept only among so many newest of all; 0 keeps any number.',
  },
  streamHeartbeatMs: {
    variables: ['SLIPWAY_STREAM_HEARTBEAT_MS', 'WS_PING_INTERVAL_MS'],
    yaml: 'server.stream_heartbeat_ms',
    type: z.coerce.number().int().min(100).max(3_600_000),
    fallback: 15_000,
    says: 'After how many milliseconds in which nothing happens the stream of a job says that it is still there.',
  },
  socketPingSeconds: {
    variables: ['SLIPWAY_SOCKET_PING_SECONDS'],
    yaml: 'server.socket_ping_seconds',
    type: z.coerce.number().min(0.1).max(3600),
    fallback: 20,
    says: 'How often the client of a socket is asked whether it is there. One that has not answered by the next time is cut, or after three times while something waits for it. A NATS broker is asked twice as often, and counts as lost when it has not answered twice.',
  },
  operatorStaleSeconds: {
    variables: ['SLIPWAY_OPERATOR_STALE_SECONDS'],
    yaml: 'operators.stale_seconds',
    type: z.coerce.number().min(0.1).max(3600),
    fallback: 30,
    says: 'After how many seconds in which nothing is heard of an operator it is taken for lost.',
  },
  operatorFaults: {
    variables: ['SLIPWAY_OPERATOR_FAULTS'],
    yaml: 'operators.faults',
    type: z.coerce.number().int().min(0).max(10_000),
    fallback: 10,
    says: 'So many failures one after the other bring an operator into quarantine; 0 for never.',
  },
  operatorMax: {
    variables: ['SLIPWAY_OPERATOR_MAX'],
    yaml: 'operators.max',
    type: count,
    fallback: 10_000,
    says: 'How many operators an organisation may have, those that are not connected any more included.',
  },
  operatorStage: {
    variables: ['SLIPWAY_OPERATOR_STAGE'],
    yaml: 'operators.stage',
    type: z.enum(['prototype', 'staging', 'production']),
    fallback: 'prototype',
    says: 'Operators below this stage get no jobs: prototype, staging or production.',
  },
  ...busSettings,
  pythonSandbox: {
    variables: ['SLIPWAY_PYTHON_SANDBOX'],
    yaml: 'sandbox.python',
    type: z.enum(['auto', 'process', 'wasm']),
    fallback: 'auto',
    says: 'How Python of plans runs: CPython under bubblewrap (process), Pyodide in a locked child (wasm), or process where it works.',
  },
  scriptTimeoutMs: {
    variables: ['SLIPWAY_SCRIPT_TIMEOUT_MS'],
    yaml: 'sandbox.call_timeout_ms',
    type: count,
    fallback: 30_000,
    says: 'Longest time one script call may take, in milliseconds.',
  },
  scriptMemoryBytes: {
    variables: ['SLIPWAY_SCRIPT_MEMORY_BYTES'],
    yaml: 'sandbox.memory_bytes',
    type: count,
    fallback: 1_073_741_824,
    says: 'Most memory one interpreter may use, in bytes.',
  },
  logLevel: {
    variables: ['SLIPWAY_LOG_LEVEL', 'NORMCODE_LOG_LEVEL'],
    yaml: 'server.log_level',
    type: z
      .string()
      .toLowerCase()
      .pipe(z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])),
    fallback: 'info',
    says: 'Least severe log line that is written: trace, debug, info, warn, error or silent.',
  },
  shutdownGraceMs: {
    variables: ['SLIPWAY_SHUTDOWN_GRACE_MS'],
    yaml: 'server.shutdown_grace_ms',
    type: count,
    fallback: 10_000,
    says: 'How long a stop waits for work under way, in milliseconds. What is not done by then continues at the next start.',
  },
} as const satisfies Record<string, Setting>

// A letter before the colon is a drive.
function isDatabase(place: string): boolean {
  if (/^postgres(ql)?:\/\//i.test(place)) return URL.canParse(place)
  return /^file:/i.test(place) || !/^[a-z][a-z0-9+.-]+:/i.test(place)
}

export type SettingName = keyof typeof settings
export type Settings = { readonly [Name in SettingName]: z.output<(typeof settings)[Name]['type']> }

export interface ResolvedSetting {
  readonly name: SettingName
  readonly value: unknown
  /** The variable, `config/server.yaml` or `default`. */
  readonly source: string
}

export interface SettingsProblem {
  readonly name: SettingName
  readonly source: string
  readonly message: string
}

/** Reads all settings: variables before the file, the file before the defaults. Every problem is reported, not the first. */
export function resolveSettings(
  env: (name: string) => string | undefined,
  file: unknown = {},
): { readonly resolved: readonly ResolvedSetting[]; readonly problems: readonly SettingsProblem[] } {
  const resolved: ResolvedSetting[] = []
  const problems: SettingsProblem[] = []
  for (const name of Object.keys(settings) as SettingName[]) {
    const { raw, source } = rawValue(settings[name], env, file)
    const parsed = settings[name].type.safeParse(raw)
    if (parsed.success) resolved.push({ name, value: parsed.data, source })
    else problems.push({ name, source, message: parsed.error.issues.map(issue => issue.message).join('; ') })
  }
  return { resolved, problems }
}

/** Dotted paths in `config/server.yaml` that no setting has: misspelt, or of another release. */
export function unknownSettings(file: unknown): string[] {
  const known = new Set(Object.values(settings).map((setting: Setting) => setting.yaml))
  return leavesOf(file, []).filter(path => !known.has(path))
}

function leavesOf(value: unknown, path: readonly string[]): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return path.length > 0 ? [path.join('.')] : []
  return Object.entries(value).flatMap(([key, inside]) => leavesOf(inside, [...path, key]))
}

function rawValue(
  setting: Setting,
  env: (name: string) => string | undefined,
  file: unknown,
): { readonly raw: unknown; readonly source: string } {
  for (const variable of setting.variables) {
    const raw = env(variable)
    if (raw !== undefined && raw !== '') return { raw, source: variable }
  }
  const fromFile = setting.yaml === undefined ? undefined : at(file, setting.yaml.split('.'))
  if (fromFile !== undefined) return { raw: fromFile, source: 'config/server.yaml' }
  return { raw: setting.fallback, source: 'default' }
}

function at(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inside, key) =>
      typeof inside === 'object' && inside !== null && Object.hasOwn(inside, key)
        ? (inside as Record<string, unknown>)[key]
        : undefined,
    value,
  )
}
