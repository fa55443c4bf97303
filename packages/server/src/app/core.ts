import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Settings } from '@slipway/protocol/settings'
import { openDatabase, type Database, type DatabaseOptions } from '#db/database'
import { lockFolder } from '#db/folder-lock'
import { isPostgres } from '#db/place'
import { EventLog } from '#features/events/events'
import {
  agentProblems,
  createModels,
  demoOnly,
  parseAgents,
  type Models,
  type ModelsConfig,
} from '#features/models/models'
import type { ProxiesConfig } from '#features/operators/operators'
import { Plans, type PlanRuns } from '#features/plans/plans'
import { Runs } from '#features/runs/runs'
import { checkRequirements } from '#features/sandboxes/requirements'
import { openPythonSandboxes, type PythonSandboxes, type SandboxLimits } from '#features/sandboxes/sandboxes'
import { createLogger, type Logger } from '#observe/log'
import { pathsOf, type Environment, type Paths } from './config.ts'
import { makeDataFolder } from './data-folder.ts'
import { lazily, type Lazy } from './lazily.ts'

/** What runs are driven with. */
export interface Core {
  readonly log: Logger
  readonly db: Database
  readonly events: EventLog
  readonly models: Models
  /** Opened by the first script or the first plan that asks for packages: trying them out takes a while. */
  readonly sandboxes: Lazy<PythonSandboxes>
  readonly plans: Plans
  readonly runs: Runs
}

export interface CoreOptions {
  readonly settings: Settings
  readonly env: Environment
  /** Parts that stand in for the usual ones. */
  readonly replace: Partial<Core>
  /** Takes what has to be closed, in the order in which it was opened. */
  readonly open: AsyncDisposableStack
}

/** Milliseconds since 1970, with fractions, that never go back. */
export function now(): number {
  return performance.timeOrigin + performance.now()
}

/**
 * Puts together what runs need, and nothing else: those that were under way go on before the rest is loaded. Nothing
 * works yet.
 */
export async function createCore({ settings, env, replace, open }: CoreOptions): Promise<Core> {
  const paths = pathsOf(settings)
  await makeDataFolder(paths.dataDir)
  // Servers on one Postgres may share the folder.
  if (!isPostgres(paths.database)) open.use(lockFolder(paths.lock))
  const log = replace.log ?? createLogger(settings)
  const db = replace.db ?? open.use(await openDatabase(paths.database, databaseOptions(settings)))
  const events = replace.events ?? new EventLog(db)
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
  return { log, db, events, models, sandboxes, plans, runs }
}

function databaseOptions({ databasePoolSize, databaseTimeoutSeconds }: Settings): DatabaseOptions {
  return { poolSize: databasePoolSize, timeoutMs: databaseTimeoutSeconds * 1000 }
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

/** Null where there is no such file. Throws `config.invalid`. */
export async function readProxies({ operatorsFile }: Paths): Promise<ProxiesConfig | null> {
  if (!existsSync(operatorsFile)) return null
  const { parseProxies } = await import('#features/operators/operators')
  return parseProxies(await readFile(operatorsFile, 'utf8'), operatorsFile)
}

async function readAgents({ agentsFile }: Paths): Promise<ModelsConfig> {
  return existsSync(agentsFile) ? parseAgents(await readFile(agentsFile, 'utf8'), agentsFile) : demoOnly
}
