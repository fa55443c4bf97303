import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { z } from 'zod'
import { defaultSettings } from '#app/config'
import { openDatabase, type Database } from '#db/database'
import { EventLog } from '#features/events/events'
import { createListener } from '#http/listener'
import { testVerifier } from '#http/testing'
import { silentLogger } from '#observe/log'
import { planRoutes } from './plan-routes.ts'
import { Plans, type PlanRuns, type PlansDeps } from './plans.ts'
import { forgeZip, type ForgedEntry } from './zip-forge.ts'

export interface Bed extends AsyncDisposable {
  readonly url: string
  readonly plans: Plans
  readonly db: Database
  readonly plansDir: string
  readonly runs: FakeRuns
  /** Names of the stored packages, and whatever else is there. */
  stored(): string[]
  deploy(zip: Buffer, query?: string): Promise<Reply>
  ask(path: string, init?: RequestInit): Promise<Reply>
  /** Ends the server and starts another one in the same folder. */
  restarted(over?: Partial<PlansDeps>): Promise<Bed>
}

export interface Reply {
  readonly status: number
  readonly body: unknown
  readonly headers: Headers
}

/** Runs as plans see them; tests say which there are. */
export class FakeRuns implements PlanRuns {
  active: string[] = []
  readonly digests = new Set<string>()

  activeOf(): Promise<readonly string[]> {
    return Promise.resolve(this.active)
  }

  stopAllOf(): Promise<readonly string[]> {
    return Promise.resolve(this.active.splice(0))
  }

  isDigestInUse(digest: string): Promise<boolean> {
    return Promise.resolve(this.digests.has(digest))
  }
}

export interface BedOptions {
  readonly folder?: string
  readonly over?: Partial<PlansDeps>
}

/** The plans over real HTTP and a real database, in a folder of their own. */
export async function openBed({ folder, over = {} }: BedOptions = {}): Promise<Bed> {
  const dataDir = folder ?? (await mkdtemp(join(tmpdir(), 'slipway-plans-')))
  const plansDir = join(dataDir, 'plans')
  const db = await openDatabase(join(dataDir, 'slipway.db'))
  const runs = new FakeRuns()
  const plans = new Plans({
    db,
    events: new EventLog(db),
    log: silentLogger(),
    runs,
    plansDir,
    defaultDialect: '2026-01',
    missingPackages: () => Promise.resolve([]),
    warningsOf: () => Promise.resolve([]),
    now: Date.now,
    ...over,
  })
  await plans.open()
  const listener = await createListener({
    handlers: planRoutes(plans),
    settings: defaultSettings({ port: 0 }),
    verifier: testVerifier(null),
    logger: silentLogger(),
  })
  const url = await listener.listen()
  const close = async (): Promise<void> => {
    await listener.stop(1000)
    await db[Symbol.asyncDispose]()
  }
  let isClosed = false
  const ask = async (path: string, init?: RequestInit): Promise<Reply> => {
    const reply = await fetch(url + path, init)
    return { status: reply.status, headers: reply.headers, body: parseJson(await reply.text()) }
  }
  return {
    url,
    plans,
    db,
    plansDir,
    runs,
    stored: () => (existsSync(plansDir) ? readdirSync(plansDir).flatMap(name => within(plansDir, name)) : []),
    ask,
    deploy: (zip, query = '') =>
      ask(`/api/plans/deploy${query}`, {
        method: 'POST',
        headers: { 'content-type': 'application/zip' },
        body: new Uint8Array(zip),
      }),
    restarted: async later => {
      isClosed = true
      await close()
      return openBed({ folder: dataDir, over: later ?? over })
    },
    async [Symbol.asyncDispose]() {
      if (isClosed) return
      await close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

function within(plansDir: string, name: string): string[] {
  return name === '.incoming' ? readdirSync(join(plansDir, name)).map(inner => `.incoming/${inner}`) : [name]
}

export interface PlanOptions {
  readonly name?: string
  readonly version?: string
  readonly description?: string
}

/** A small plan that has nothing wrong with it: it hands a number on. */
export function planFiles({ name = 'hand-on', version = '1.0.0', description = '' }: PlanOptions = {}): ForgedEntry[] {
  const manifest = {
    name,
    version,
    description,
    entry: { concepts: 'concept_repo.json', inferences: 'inference_repo.json' },
  }
  const concepts = [
    { concept_name: '{number}', type: '{}', is_ground_concept: true },
    { concept_name: '{result}', type: '{}', is_final_concept: true },
    { concept_name: '$. %>({number})', type: '$.', is_ground_concept: true, reference_data: ['$.'] },
  ]
  const inferences = [
    {
      inference_sequence: 'assigning',
      concept_to_infer: '{result}',
      function_concept: '$. %>({number})',
      value_concepts: ['{number}'],
      working_interpretation: { syntax: { marker: '.', assign_source: '{number}', assign_destination: '{result}' } },
      flow_info: { flow_index: '1' },
    },
  ]
  return [
    { name: 'manifest.json', content: JSON.stringify(manifest) },
    { name: 'concept_repo.json', content: JSON.stringify(concepts) },
    { name: 'inference_repo.json', content: JSON.stringify(inferences) },
  ]
}

export function planZip(options: PlanOptions = {}, more: readonly ForgedEntry[] = []): Buffer {
  return forgeZip([...planFiles(options), ...more])
}

const Refusal = z.object({
  error: z.object({ code: z.string(), message: z.string(), details: z.looseObject({}).optional() }),
})

/** Code and broken rule of a refusal. */
export function refusalOf({ body }: Reply): { code: string; rule: unknown } {
  const { code, details } = Refusal.parse(body).error
  return { code, rule: details?.['rule'] }
}
