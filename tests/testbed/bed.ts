import type { RunEvent } from '@slipway/protocol/events'
import type { RunDetails } from '@slipway/protocol/runs'
import type { Settings } from '@slipway/protocol/settings'
import { createClient, type Client } from '@slipway/sdk/client'
import { followRun } from '@slipway/sdk/event-stream'
import type { RunningServer, StartOptions } from '@slipway/server/app/start-server'
import { testServer } from '@slipway/server/app/testing'

/** A real server in this process, with a folder and a port of its own, and a client of it. */
export interface Bed extends AsyncDisposable {
  readonly server: RunningServer
  readonly client: Client
  /** Follows the run to its end. */
  finished(runId: string): Promise<RunDetails>
  /** Every event of the run up to its end. */
  events(runId: string): Promise<RunEvent[]>
}

export interface BedOptions extends StartOptions {
  readonly settings?: Partial<Settings>
  /** An existing folder, which is then left alone. */
  readonly dataDir?: string
}

export async function openBed({ settings, dataDir, ...options }: BedOptions = {}): Promise<Bed> {
  const place = dataDir === undefined ? {} : { dataDir }
  const server = await testServer({ pythonSandbox: 'wasm', ...place, ...settings }, options)
  const client = createClient({ url: server.url })
  const events = async (runId: string): Promise<RunEvent[]> => Array.fromAsync(followRun(client, runId, { after: 0 }))
  return {
    server,
    client,
    events,
    finished: async runId => {
      await events(runId)
      return client.run(runId)
    },
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
