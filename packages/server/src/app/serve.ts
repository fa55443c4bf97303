import type { Settings } from '@slipway/protocol/settings'
import { storageTrouble } from '#db/faults'
import { accessRoutes } from '#features/access/access-routes'
import { circuitRoutes } from '#features/circuits/circuit-routes'
import { eventRoutes, eventSockets } from '#features/events/event-routes'
import { jobRoutes } from '#features/jobs/job-routes'
import { jobSockets } from '#features/jobs/job-sockets'
import { queueRoutes } from '#features/jobs/queue-routes'
import { operatorRoutes } from '#features/operators/operator-routes'
import { planRoutes } from '#features/plans/plan-routes'
import { archiveRoutes } from '#features/runs/archive-routes'
import { checkpointRoutes, debugRoutes } from '#features/runs/debug-routes'
import { inspectionRoutes } from '#features/runs/inspection-routes'
import { runRoutes } from '#features/runs/run-routes'
import { busSocket } from '#features/shield/bus-socket'
import { policyRoutes } from '#features/shield/policy-routes'
import { unusableAddress } from '#http/address'
import type { Handler } from '#http/handler'
import { createListener, type Listener, type ListenerTimes } from '#http/listener'
import { openApiRoutes } from '#http/openapi-routes'
import type { Context } from './context.ts'
import { version, type HealthSources } from './health.ts'
import { pageRoutes } from './page-routes.ts'
import { modelRoutes, systemRoutes } from './system-routes.ts'

export interface ServeOptions {
  readonly settings: Settings
  readonly times: Partial<ListenerTimes> | undefined
  /** Aborts when the server stops. */
  readonly stopping: AbortSignal
}

export interface Served extends Pick<Listener, 'stop'> {
  /** Such as `http://127.0.0.1:8000`. */
  readonly url: string
}

/** Everything that can be asked over the network, at the address of the settings. Throws `config.invalid`. */
export async function serve(context: Context, { settings, times, stopping }: ServeOptions): Promise<Served> {
  const pingMs = settings.socketPingSeconds * 1000
  const listener = await createListener({
    handlers: [...systemRoutes(healthSources(context, stopping)), ...featureRoutes(context), ...siteRoutes()],
    sockets: [...eventSockets(context.events, context.runs), ...jobSockets(context.jobs), busSocket(context.shield)],
    settings,
    verifier: context.access.verifier,
    logger: context.log,
    explain: storageTrouble,
    times: { pingMs, stallMs: 3 * pingMs, ...times },
  })
  try {
    return { url: await listener.listen(), stop: graceMs => listener.stop(graceMs) }
  } catch (error) {
    await listener.stop(0)
    throw unusableAddress(error, settings)
  }
}

function featureRoutes({
  access,
  archives,
  circuits,
  events,
  jobs,
  models,
  operators,
  plans,
  runs,
  shield,
}: Context): Handler[] {
  return [
    ...accessRoutes(access),
    ...planRoutes(plans),
    ...runRoutes(runs),
    ...archiveRoutes(archives),
    ...checkpointRoutes(runs),
    ...debugRoutes(runs),
    ...inspectionRoutes(runs),
    ...eventRoutes(events, runs),
    ...jobRoutes(jobs),
    ...queueRoutes(jobs),
    ...operatorRoutes(operators),
    ...circuitRoutes(circuits),
    ...policyRoutes(shield),
    ...modelRoutes(models),
  ]
}

function siteRoutes(): Handler[] {
  return [...openApiRoutes(version), ...pageRoutes()]
}

function healthSources({ db, plans, relay, runs, sandboxes }: Context, stopping: AbortSignal): HealthSources {
  return {
    isStopping: () => stopping.aborted,
    pingDatabase: () => db.ping({ withinMs: 2_000 }),
    broker: () => relay?.state ?? null,
    countPlans: organisation => plans.count(organisation),
    countRuns: organisation => runs.counts(organisation),
    sandbox: async () => (await sandboxes.opened())?.kind ?? 'not started',
  }
}
