import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Settings } from '@slipway/protocol/settings'
import { openDatabase, type Database, type DatabaseOptions } from '#db/database'
import { lockFolder } from '#db/folder-lock'
import { isPostgres } from '#db/place'
import { Access, type Audit } from '#features/access/access'
import { Circuits } from '#features/circuits/circuits'
import { EventLog } from '#features/events/events'
import { Jobs } from '#features/jobs/jobs'
import {
  agentProblems,
  createModels,
  demoOnly,
  parseAgents,
  type Models,
  type ModelsConfig,
} from '#features/models/models'
import { Mappings } from '#features/mappings/mappings'
import { Operators, parseProxies, type ProxiesConfig } from '#features/operators/operators'
import { Plans, type PlanRuns } from '#features/plans/plans'
import { InputUpload } from '#features/runs/input-upload'
import type { ArchiveParts } from '#features/runs/archive-routes'
import { Retention } from '#features/runs/retention'
import { RunExport } from '#features/runs/run-export'
import { RunImport } from '#features/runs/run-import'
import { Runs } from '#features/runs/runs'
import { checkRequirements } from '#features/sandboxes/requirements'
import { openPythonSandboxes, type PythonSandboxes, type SandboxLimits } from '#features/sandboxes/sandboxes'
import { Shield, type ShieldTerms } from '#features/shield/shield'
import { DatabaseSpine } from '#features/spine/database-spine'
import type { NatsRelay } from '#features/spine/adapters/nats-relay'
import type { Spine } from '#features/spine/spine'
import { createLogger, type Logger } from '#observe/log'
import { mappingThreadReplaced } from '#observe/mappings-log'
import { pathsOf, type Environment, type Paths } from './config.ts'
import { makeDataFolder } from './data-folder.ts'
import { lazily, type Lazy } from './lazily.ts'

/** Everything the server is made of. */
export interface Context {
  readonly log: Logger
  readonly db: Database
  readonly access: Access
  readonly events: EventLog
  readonly spine: Spine
  readonly models: Models
  /** Opened by the first script or the first plan that asks for packages: trying them out takes a while. */
  readonly sandboxes: Lazy<PythonSandboxes>
  readonly plans: Plans
  readonly runs: Runs
  /** Runs as files, and their end. */
  readonly archives: ArchiveParts
  readonly jobs: Jobs
  readonly operators: Operators
  readonly circuits: Circuits
  /** The edge of the bus. */
  readonly shield: Shield
  /** Serves clients of the bus that reach a broker alone; null where there is none. */
  readonly relay: NatsRelay | null
}

export interface ContextOptions {
  readonly settings: Settings
  readonly env: Environment
  /** Parts that stand in for the usual ones. */
  readonly replace: Partial<Context>
  /** Takes what has to be closed, in the order in which it was opened. */
  readonly open: AsyncDisposableStack
}

/** Puts the server together: the one place that knows every implementation. Nothing works or listens yet. */
export async function createContext({ settings, env, replace, open }: ContextOptions): Promise<Context> {
  const paths = pathsOf(settings)
  await makeDataFolder(paths.dataDir)
  // Servers on one Postgres may share the folder.
  if (!isPostgres(paths.database)) open.use(lockFolder(paths.lock))
  const log = replace.log ?? createLogger(settings)
  const db = replace.db ?? open.use(await openDatabase(paths.database, databaseOptions(settings)))
  const now = (): number => performance.timeOrigin + performance.now()
  const access = replace.access ?? new Access({ db, log, apiToken: settings.apiToken, now })
  open.use(access)
  const events = replace.events ?? new EventLog(db)
  const spine = replace.spine ?? openSpine({ db, log, now }, settings)
  open.use(spine)
  const models = replace.models ?? createModels(await readAgents(paths), { env })
  const sandboxes = replace.sandboxes ?? lazySandboxes(settings, paths)
  open.defer(async () => (await sandboxes.opened())?.close())
  const plans: Plans =
    replace.plans ??
    new Plans({
      db,
      events,
      log,
      now,
      plansDir: paths.plansDir,
      limits: { archiveBytes: settings.maxBodyBytes, totalBytes: settings.maxPlanBytes },
      defaultDialect: settings.defaultDialect,
      missingPackages: async names => checkRequirements(names, await sandboxes.get()),
      warningsOf: ({ agentConfig }) => agentProblems(agentConfig),
      runs: planRuns(() => runs),
    })
  const runs: Runs =
    replace.runs ??
    new Runs({
      db,
      events,
      plans,
      models,
      log,
      now,
      sandboxes: () => sandboxes.get(),
      sandboxLimits: sandboxLimits(settings),
      runsDir: paths.runsDir,
      maxConcurrentRuns: settings.maxConcurrentRuns,
      defaultMaxCycles: settings.defaultMaxCycles,
      checkpointFrequency: settings.checkpointFrequency,
      leaseMs: settings.leaseSeconds * 1000,
      stalledAfterMs: settings.stalledAfterSeconds * 1000,
    })
  open.use(runs)
  const archives = replace.archives ?? archiveParts({ log, db, events, models, plans, runs, now }, settings)
  open.use(archives.retention)
  const bus = await openBus({ db, log, now, spine, env, paths, audit: access.audit }, { settings, replace, open })
  const relay = await openRelay({ log, access, shield: bus.shield }, settings)
  if (relay) open.use(relay)
  const { streamHeartbeatMs: heartbeatMs } = settings
  const jobs =
    replace.jobs ?? new Jobs({ spine, runs, events, now, heartbeatMs, check: message => bus.shield.check(message) })
  return {
    log,
    db,
    access,
    events,
    spine,
    models,
    sandboxes,
    plans,
    runs,
    archives,
    jobs,
    ...bus,
    relay,
  }
}

function databaseOptions({ databasePoolSize, databaseTimeoutSeconds }: Settings): DatabaseOptions {
  return { poolSize: databasePoolSize, timeoutMs: databaseTimeoutSeconds * 1000 }
}

type BusParts = Pick<Context, 'db' | 'log' | 'spine'> & {
  readonly now: () => number
  readonly env: Environment
  readonly paths: Paths
  readonly audit: Audit
}

async function openBus(
  { db, log, now, spine, env, paths, audit }: BusParts,
  { settings, replace, open }: Pick<ContextOptions, 'settings' | 'replace' | 'open'>,
): Promise<Pick<Context, 'operators' | 'circuits' | 'shield'>> {
  const mappings = open.use(openMappings(log, settings))
  const operators =
    replace.operators ??
    new Operators({
      db,
      spine,
      mappings,
      log,
      now,
      leaseMs: settings.spineLeaseSeconds * 1000,
      staleMs: settings.operatorStaleSeconds * 1000,
      quarantineAfterFaults: settings.operatorFaults,
      mostOperators: settings.operatorMax,
      leastStage: settings.operatorStage,
      proxies: await readProxies(paths),
      env,
    })
  open.use(operators)
  const circuits = replace.circuits ?? new Circuits({ db, spine, operators, mappings, audit, log, now })
  open.use(circuits)
  const shield = replace.shield ?? new Shield({ db, audit, spine, operators, log, now, terms: shieldTerms(settings) })
  open.use(shield)
  return { operators, circuits, shield }
}

function openMappings(log: Logger, settings: Settings): Mappings {
  return new Mappings({
    terms: {
      workers: settings.mappingWorkers,
      timeoutMs: settings.mappingTimeoutMs,
      memoryBytes: settings.mappingMemoryBytes,
      queue: settings.mappingQueue,
    },
    onReplaced: (why, organisation) => mappingThreadReplaced(log, { why, organisation }),
  })
}

function openSpine(parts: Pick<Context, 'log' | 'db'> & { readonly now: () => number }, settings: Settings): Spine {
  return new DatabaseSpine({
    ...parts,
    leaseMs: settings.spineLeaseSeconds * 1000,
    cancelGraceMs: settings.spineCancelGraceSeconds * 1000,
    bounds: {
      jobsPerQueue: settings.spineMaxQueueJobs,
      jobs: settings.spineMaxJobs,
      streamPieces: settings.spineMaxStreamPieces,
    },
    policy: {
      jobDays: settings.spineRetentionDays,
      jobsPerQueue: settings.spineRetentionJobs,
      deadDays: settings.spineDeadDays,
      messageDays: settings.spineMessageDays,
      messages: settings.spineMessages,
    },
  })
}

async function openRelay(
  { log, access, shield }: Pick<Context, 'log' | 'access' | 'shield'>,
  { natsUrl, natsReplicas, busMaxFrameBytes, busMaxWaitingBytes, socketPingSeconds }: Settings,
): Promise<NatsRelay | null> {
  if (natsUrl === null) return null
  const { NatsRelay } = await import('#features/spine/adapters/nats-relay')
  return new NatsRelay({
    url: natsUrl,
    replicas: natsReplicas,
    verifier: access.verifier,
    maxFrameBytes: busMaxFrameBytes,
    maxWaitingBytes: busMaxWaitingBytes,
    pingMs: socketPingSeconds * 500,
    serve: (socket, request) => shield.serve(socket, request),
    log,
  })
}

function shieldTerms(settings: Settings): ShieldTerms {
  return {
    takesJson: settings.busJson,
    maxFrameBytes: settings.busMaxFrameBytes,
    maxWaitingBytes: settings.busMaxWaitingBytes,
    maxSockets: settings.busMaxSockets,
    socketsPerToken: settings.busSocketsPerToken,
    framesPerSecond: settings.busFramesPerSecond,
    topicFramesPerSecond: settings.busTopicFramesPerSecond,
    idleMs: settings.busIdleSeconds * 1000,
    policies: {
      required: settings.policyRequired,
      timeoutMs: settings.policyTimeoutMs,
      memoryBytes: settings.policyMemoryBytes,
      moduleBytes: settings.policyModuleBytes,
      workers: settings.policyWorkers,
      queue: settings.policyQueue,
    },
  }
}

function archiveParts(
  parts: Pick<Context, 'log' | 'db' | 'events' | 'models' | 'plans' | 'runs'> & { readonly now: () => number },
  settings: Settings,
): ArchiveParts {
  const { runs } = parts
  const { runsDir } = pathsOf(settings)
  const settled = (runId: string): Promise<void> => runs.settled(runId)
  const maxBytes = settings.maxBodyBytes
  return {
    exports: new RunExport({ ...parts, runsDir, settled }),
    imports: new RunImport({ ...parts, runsDir, maxBytes, view: row => runs.view(row) }),
    retention: new Retention({
      ...parts,
      runsDir,
      settled,
      policy: { days: settings.retentionDays, runs: settings.retentionRuns },
    }),
    uploads: new InputUpload({ ...parts, people: runs.people, runsDir, maxBytes }),
  }
}

// Runs are made of plans, and plans must not go while runs need them: the one loop, closed here.
function planRuns(runs: () => Runs): PlanRuns {
  return {
    activeOf: async plan => (await runs().activeOfPlan(plan)).map(({ id }) => id),
    stopAllOf: (plan, options) => runs().stopAllOfPlan(plan, options),
    isDigestInUse: digest => runs().isDigestInUse(digest),
  }
}

function lazySandboxes(settings: Settings, paths: Paths): Lazy<PythonSandboxes> {
  return lazily(() =>
    openPythonSandboxes(settings.pythonSandbox, { dataFolder: paths.sandboxDir, limits: sandboxLimits(settings) }),
  )
}

function sandboxLimits(settings: Settings): Partial<SandboxLimits> {
  return { callTimeoutMs: settings.scriptTimeoutMs, memoryBytes: settings.scriptMemoryBytes }
}

async function readProxies({ operatorsFile }: Paths): Promise<ProxiesConfig> {
  return parseProxies(existsSync(operatorsFile) ? await readFile(operatorsFile, 'utf8') : '', operatorsFile)
}

async function readAgents({ agentsFile }: Paths): Promise<ModelsConfig> {
  return existsSync(agentsFile) ? parseAgents(await readFile(agentsFile, 'utf8'), agentsFile) : demoOnly
}
