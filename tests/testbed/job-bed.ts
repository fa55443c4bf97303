import { once } from 'node:events'
import { parseJson } from '@slipway/kit/json'
import type { StreamFrame } from '@slipway/protocol/jobs'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { postgresUrl } from '@slipway/server/db/testing'
import type { Spine } from '@slipway/server/features/spine/spine'
import { describe, inject } from 'vitest'
import { WebSocket } from 'ws'
import { openBed, type Bed, type BedOptions } from './bed.ts'

type LeasedJob = Awaited<ReturnType<Spine['jobs']['lease']>>[number]

export interface JobBed extends Bed {
  readonly spine: Spine
  /** The next job of the type, as an operator gets it. */
  lease(type: string): Promise<LeasedJob>
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>
}

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
}

/** Runs the suite on SQLite, and in the projects whose tests need services on Postgres instead. */
export function onServers(title: string, suite: (open: (options?: BedOptions) => Promise<JobBed>) => void): void {
  const postgres = inject('postgres')
  const why = postgres === undefined ? null : postgres.why
  const name = postgres === undefined ? 'SQLite' : why === null ? 'Postgres' : `Postgres (${why})`
  describe.skipIf(why !== null)(`${title}, ${name}`, () =>
    suite(async (options = {}) => {
      const place = postgres === undefined ? {} : { databaseUrl: await postgresUrl() }
      return openJobBed({ ...options, settings: { ...place, ...options.settings } })
    }),
  )
}

export async function openJobBed(options: BedOptions = {}): Promise<JobBed> {
  const folder = options.dataDir === undefined ? await temporaryDataFolder() : null
  const bed = await openBed({ ...options, dataDir: options.dataDir ?? folder?.path ?? '' })
  const { spine } = bed.server.context
  return {
    ...bed,
    spine,
    lease: async type => {
      const terms = { topics: [`${type}.jobs`], operator: 'worker', organisation: null, max: 1, waitMs: 20_000 }
      const [job] = await spine.jobs.lease(terms)
      if (job === undefined) throw new Error(`No job of the type ${type} came.`)
      return job
    },
    post: async (path, body, headers = {}) => {
      const response = await fetch(bed.server.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, text, json: parseJson(text) as Answer['json'] }
    },
    async [Symbol.asyncDispose]() {
      await bed[Symbol.asyncDispose]()
      await folder?.[Symbol.asyncDispose]()
    },
  }
}

export interface RawStream extends AsyncDisposable {
  readonly socket: WebSocket
  readonly frames: StreamFrame[]
  /** Code and reason of the end. */
  readonly closed: Promise<readonly [number, string]>
}

/** The frames of a job's stream as they are on the wire. */
export async function openStream(url: string, jobId: string, { after = '', token = '' } = {}): Promise<RawStream> {
  const query = after === '' ? '' : `?after=${after}`
  const headers = token === '' ? {} : { authorization: `Bearer ${token}` }
  const socket = new WebSocket(`${url.replace('http', 'ws')}/v1/stream/${jobId}${query}`, { headers })
  const frames: StreamFrame[] = []
  socket.on('message', data => frames.push(parseJson((data as Buffer).toString()) as StreamFrame))
  socket.on('error', () => undefined)
  const closed = once(socket, 'close').then(([code, reason]) => [code as number, String(reason)] as const)
  await once(socket, 'open')
  return {
    socket,
    frames,
    closed,
    async [Symbol.asyncDispose]() {
      socket.terminate()
      await closed
    },
  }
}

export function bytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value))
}
