import { setMaxListeners } from 'node:events'
import { readConfig } from './config.ts'
import { endWith } from './end-with.ts'
import { startServer } from './start-server.ts'

/** Exit codes: 0 stopped in order, 1 failed, 2 cannot start with these settings. */
async function main(): Promise<void> {
  endWithParent()
  const stop = stopSignal()
  const { settings, env, unknown } = await readConfig()
  await using server = await startServer(settings, { env })
  if (unknown.length > 0) server.context.log.warn({ unknown }, 'config/server.yaml has settings that nobody reads')
  process.stdout.write(`Slipway is ready at ${server.url}\n`)
  const because = await stop
  await server.stop(because)
}

/** A server that another program has started through a channel does not outlive it, not even when that is killed. */
function endWithParent(): void {
  if (!process.connected) return
  process.once('disconnect', () => process.exit(1))
  process.channel?.unref()
}

/** Resolves with the first signal that ends the process; the second one ends it at once. */
function stopSignal(): Promise<string> {
  return new Promise(resolve => {
    let isFirst = true
    const onSignal = (signal: NodeJS.Signals): void => {
      if (!isFirst) process.exit(signal === 'SIGINT' ? 130 : 143)
      isFirst = false
      resolve(signal)
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}

// Many runs wait on one signal of the server; that is no leak.
setMaxListeners(0)
main().then(
  () => process.removeAllListeners('SIGTERM').removeAllListeners('SIGINT'),
  (error: unknown) => endWith(error, 'The server ended'),
)
