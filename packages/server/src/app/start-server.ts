import type { Settings } from '@slipway/protocol/settings'
import { eventRoutes, eventSockets } from '#features/events/event-routes'
import { planRoutes } from '#features/plans/plan-routes'
import { checkpointRoutes, debugRoutes } from '#features/runs/debug-routes'
import { inspectionRoutes } from '#features/runs/inspection-routes'
import { archiveRoutes } from '#features/runs/archive-routes'
import { runRoutes } from '#features/runs/run-routes'
import { createListener, type Listener, type ListenerTimes } from '#http/listener'
import { openApiRoutes } from '#http/openapi-routes'
import { serverStarted, serverStopped, serverStopping } from '#observe/server-log'
import { AppError } from '@slipway/protocol/errors'
import { defaultSettings, type Environment } from './config.ts'
import { createContext, type Context } from './context.ts'
import { version, type HealthSources } from './health.ts'
import { pageRoutes } from './page-routes.ts'
import { modelRoutes, systemRoutes } from './system-routes.ts'

export interface RunningServer extends AsyncDisposable {
  /** Such as `http://127.0.0.1:8000`. */
  readonly url: string
  readonly context: Context
  /** Stops in order: no new work, the last frames, requests under way, runs, database. Repeating it changes nothing. */
  stop(because: string): Promise<void>
}

export interface StartOptions {
  readonly env?: Environment | undefined
  /** Parts that stand in for the usual ones. */
  readonly replace?: Partial<Context> | undefined
  readonly times?: Partial<ListenerTimes> | undefined
}

/**
 * Starts a server; settings that are not given have their defaults. Throws `config.invalid` when it cannot listen or
 * must not, and leaves nothing open then.
 */
export async function startServer(given: Partial<Settings>, options: StartOptions = {}): Promise<RunningServer> {
  const settings = defaultSettings(given)
  await using open = new AsyncDisposableStack()
  const env = options.env ?? (() => undefined)
  const context = await createContext({ settings, env, replace: options.replace ?? {}, open })
  const stopping = new AbortController()
  const listener = await createListener({
    handlers: [...systemRoutes(healthSources(context, stopping.signal)), ...featureRoutes(context), ...siteRoutes()],
    sockets: eventSockets(context.events, context.runs),
    settings,
    logger: context.log,
    times: options.times,
  })
  await context.plans.open()
  const url = await listen(listener, settings)
  // Nothing works before the port is ours: a second server must not take up the runs of the first.
  await context.runs.recover()
  const cleaning = context.plans
    .collectOrphans()
    .catch((error: unknown) => context.log.error({ error }, 'packages not cleaned'))
  open.defer(() => cleaning)
  await context.archives.imports.tidy()
  context.archives.retention.start()
  serverStarted(context.log, { url, startMs: Math.round(performance.now()) })
  const owned = open.move()
  let stopped: Promise<void> | null = null
  const stop = async (because: string): Promise<void> => {
    serverStopping(context.log, { because })
    stopping.abort()
    await listener.stop(settings.shutdownGraceMs)
    await owned.disposeAsync()
    serverStopped(context.log)
  }
  return {
    url,
    context,
    stop: because => (stopped ??= stop(because)),
    [Symbol.asyncDispose]: () => (stopped ??= stop('disposed')),
  }
}

function featureRoutes({
  archives,
  events,
  models,
  plans,
  runs,
}: Context): Parameters<typeof createListener>[0]['handlers'] {
  return [
    ...planRoutes(plans),
    ...runRoutes(runs),
    ...archiveRoutes(archives),
    ...checkpointRoutes(runs),
    ...debugRoutes(runs),
    ...inspectionRoutes(runs),
    ...eventRoutes(events, runs),
    ...modelRoutes(models),
  ]
}

function siteRoutes(): Parameters<typeof createListener>[0]['handlers'] {
  return [...openApiRoutes(version), ...pageRoutes()]
}

function healthSources({ db, plans, runs, sandboxes }: Context, stopping: AbortSignal): HealthSources {
  return {
    isStopping: () => stopping.aborted,
    pingDatabase: () => db.ping({ withinMs: 2_000 }),
    countPlans: () => plans.count(),
    countRuns: () => Promise.resolve(runs.counts()),
    sandbox: async () => (await sandboxes.opened())?.kind ?? 'not started',
  }
}

async function listen(listener: Listener, { host, port }: Settings): Promise<string> {
  try {
    return await listener.listen()
  } catch (error) {
    await listener.stop(0)
    const { code } = error as { readonly code?: string }
    if (code === 'EADDRINUSE') {
      throw new AppError(
        'config.invalid',
        `Port ${port} on ${host} is in use. Stop what listens there, or set SLIPWAY_PORT to another port (0 takes a free one).`,
      )
    }
    if (code === 'EACCES') {
      throw new AppError(
        'config.invalid',
        `Port ${port} may not be used by this user. Set SLIPWAY_PORT to one above 1023.`,
      )
    }
    if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
      throw new AppError('config.invalid', `${host} is no address of this machine. Set SLIPWAY_HOST to one of its own.`)
    }
    throw error
  }
}
