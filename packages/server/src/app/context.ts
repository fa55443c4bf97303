import type { Settings } from '@slipway/protocol/settings'
import { Access, type Audit } from '#features/access/access'
import { Circuits } from '#features/circuits/circuits'
import { Jobs } from '#features/jobs/jobs'
import { Mappings } from '#features/mappings/mappings'
import { Operators, parseProxies, type ProxiesConfig } from '#features/operators/operators'
import { InputUpload } from '#features/runs/input-upload'
import type { ArchiveParts } from '#features/runs/archive-routes'
import { Retention } from '#features/runs/retention'
import { RunExport } from '#features/runs/run-export'
import { RunImport } from '#features/runs/run-import'
import { Shield, type ShieldTerms } from '#features/shield/shield'
import { DatabaseSpine } from '#features/spine/database-spine'
import type { NatsRelay } from '#features/spine/adapters/nats-relay'
import type { Spine } from '#features/spine/spine'
import type { Logger } from '#observe/log'
import { mappingThreadReplaced } from '#observe/mappings-log'
import { pathsOf } from './config.ts'
import { now, type Core, type CoreOptions } from './core.ts'

/** Everything the server is made of. */
export interface Context extends Core {
  readonly access: Access
  readonly spine: Spine
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

export interface ContextOptions extends Omit<CoreOptions, 'replace'> {
  /** Parts that stand in for the usual ones. */
  readonly replace: Partial<Context>
  /** Services behind HTTP that do jobs; null for none. */
  readonly proxies: ProxiesConfig | null
}

/**
 * Puts the rest of the server together; with what runs need, the one place that knows every implementation. Nothing of it
 * works or listens yet.
 */
export async function createContext(core: Core, options: ContextOptions): Promise<Context> {
  const { settings, replace, open } = options
  const { log, db, events, runs } = core
  const access = replace.access ?? new Access({ db, log, apiToken: settings.apiToken, now })
  open.use(access)
  const spine = replace.spine ?? openSpine({ db, log }, settings)
  open.use(spine)
  const archives = replace.archives ?? archiveParts(core, settings)
  open.use(archives.retention)
  const bus = openBus({ db, log, spine, audit: access.audit }, options)
  const relay = await openRelay({ log, access, shield: bus.shield }, settings)
  if (relay) open.use(relay)
  const { streamHeartbeatMs: heartbeatMs } = settings
  const jobs =
    replace.jobs ?? new Jobs({ spine, runs, events, now, heartbeatMs, check: message => bus.shield.check(message) })
  return { ...core, access, spine, archives, jobs, ...bus, relay }
}

function openBus(
  { db, log, spine, audit }: Pick<Context, 'db' | 'log' | 'spine'> & { readonly audit: Audit },
  { settings, env, replace, open, proxies }: ContextOptions,
): Pick<Context, 'operators' | 'circuits' | 'shield'> {
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
      proxies: proxies ?? parseProxies('', pathsOf(settings).operatorsFile),
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

function openSpine(parts: Pick<Core, 'log' | 'db'>, settings: Settings): Spine {
  return new DatabaseSpine({
    ...parts,
    now,
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

function archiveParts(core: Core, settings: Settings): ArchiveParts {
  const { runs } = core
  const parts = { ...core, now }
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
