import type { Settings } from '@slipway/protocol/settings'
import { checkAddress } from '#http/address'
import type { ListenerTimes } from '#http/listener'
import { serverStarted, serverStopped, serverStopping } from '#observe/server-log'
import { defaultSettings, pathsOf, type Environment } from './config.ts'
import type { Context } from './context.ts'
import { createCore, readProxies } from './core.ts'

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
 *
 * Runs that were under way go on first. What requests need is loaded behind that: it takes longer than all of the rest.
 */
export async function startServer(given: Partial<Settings>, options: StartOptions = {}): Promise<RunningServer> {
  const settings = defaultSettings(given)
  await using open = new AsyncDisposableStack()
  const env = options.env ?? (() => undefined)
  const replace = options.replace ?? {}
  const core = await createCore({ settings, env, replace, open })
  await core.plans.open()
  // Nothing works before it is known that requests can come: calls of a server that must end again would be lost.
  await checkAddress(settings)
  const proxies = await readProxies(pathsOf(settings))
  await core.runs.recover()
  const [{ createContext }, { serve }] = await Promise.all([import('./context.ts'), import('./serve.ts')])
  const context = await createContext(core, { settings, env, replace, proxies, open })
  const stopping = new AbortController()
  const served = await serve(context, { settings, times: options.times, stopping: stopping.signal })
  const cleaning = context.plans
    .collectOrphans()
    .catch((error: unknown) => context.log.error({ error }, 'packages not cleaned'))
  open.defer(() => cleaning)
  context.spine.start()
  context.operators.start()
  await context.operators.openProxies()
  context.circuits.start()
  context.relay?.start()
  await context.archives.imports.tidy()
  context.archives.retention.start()
  serverStarted(context.log, { url: served.url, startMs: Math.round(performance.now()) })
  const owned = open.move()
  let stopped: Promise<void> | null = null
  const stop = async (because: string): Promise<void> => {
    serverStopping(context.log, { because })
    stopping.abort()
    await served.stop(settings.shutdownGraceMs)
    await owned.disposeAsync()
    serverStopped(context.log)
  }
  return {
    url: served.url,
    context,
    stop: because => (stopped ??= stop(because)),
    [Symbol.asyncDispose]: () => (stopped ??= stop('disposed')),
  }
}
