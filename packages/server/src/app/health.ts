import type { Health } from '@slipway/protocol/system'
import type { BrokerState } from '#features/spine/adapters/nats-relay'
import type { Identity } from '#http/authenticate'
import packageFile from '../../package.json' with { type: 'json' }

export const version = packageFile.version

/** What the health routes ask the parts of the server. */
export interface HealthSources {
  readonly isStopping: () => boolean
  /** Throws when the database does not answer. */
  readonly pingDatabase: () => Promise<unknown>
  /** Null where there is none. */
  readonly broker: () => BrokerState | null
  /** Of an organisation, or with null of all. */
  readonly countPlans: (organisation: string | null) => Promise<number>
  readonly countRuns: (organisation: string | null) => Promise<{ readonly running: number; readonly pending: number }>
  readonly sandbox: () => Promise<string>
}

type Checks = Health['checks']

export interface Readiness {
  readonly status: 'ready' | 'stopping' | 'failing'
  readonly checks: Checks
}

export async function readiness(sources: HealthSources): Promise<Readiness> {
  const broker = sources.broker()
  const checks: Checks = {
    database: await databaseCheck(sources),
    // Everything but operators that reach the broker alone goes on without it.
    ...(broker && { broker: brokerCheck(broker) }),
  }
  if (sources.isStopping()) return { status: 'stopping', checks }
  return { status: checks['database']?.status === 'ok' ? 'ready' : 'failing', checks }
}

/** What is counted is the caller's own, or everybody's for the operator of the server. */
export async function health(sources: HealthSources, { isOperator, organisation }: Identity): Promise<Health> {
  const counted = isOperator ? null : organisation
  const { status, checks } = await readiness(sources)
  const answers = checks['database']?.status === 'ok'
  return {
    status: status === 'ready' ? 'ok' : 'degraded',
    version,
    uptime_seconds: Math.round(process.uptime()),
    sandbox: await sources.sandbox(),
    plans: answers ? await sources.countPlans(counted) : 0,
    runs: answers ? await sources.countRuns(counted) : { running: 0, pending: 0 },
    checks,
  }
}

async function databaseCheck(sources: HealthSources): Promise<Checks[string]> {
  try {
    await sources.pingDatabase()
    return { status: 'ok' }
  } catch {
    return { status: 'failing', detail: 'The database does not answer.' }
  }
}

function brokerCheck(state: BrokerState): Checks[string] {
  return state.isConnected ? { status: 'ok' } : { status: 'failing', detail: 'There is no connection to the broker.' }
}
