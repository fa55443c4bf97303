import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { compileCache, temporaryDataFolder, temporaryFolder } from '@slipway/server/app/testing'
import { postgresUrl } from '@slipway/server/db/testing'
import { describe, expect, inject, test } from 'vitest'
import { openBed } from '../testbed/bed.ts'
import { echoPlan } from '../testbed/small-plans.ts'

const why = inject('postgres')?.why ?? null
const main = fileURLToPath(new URL('../../packages/server/src/app/main.ts', import.meta.url))

describe.skipIf(why !== null)(`servers on Postgres${why === null ? '' : ` (${why})`}`, () => {
  test('[APP-13] [EVENT-8] what one runs, another on the same folder and database shows', async () => {
    await using folder = await temporaryDataFolder()
    const place = { dataDir: folder.path, settings: { databaseUrl: await postgresUrl() } }
    await using first = await openBed(place)
    await using second = await openBed(place)
    await first.client.deploy(echoPlan('echo'))
    expect((await second.client.plans()).items).toMatchObject([{ id: 'echo' }])
    const { run_id: id } = await first.client.startRun('echo', { inputs: { spoken_word: 'pla\0in' } })
    const events = await second.events(id)
    expect(events.map(event => event.seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.at(-1)).toMatchObject({ event: 'run:completed' })
    expect(await second.client.run(id)).toMatchObject({ run_id: id, status: 'completed' })
    const { final_concepts: finals } = await second.client.result(id)
    expect(finals[0]?.value).toBe('pla\0in')
    for (const { url } of [first.server, second.server]) {
      expect((await fetch(`${url}/readyz`)).status).toBe(200)
      expect(await (await fetch(`${url}/api/runs`)).json()).toMatchObject([{ run_id: id, status: 'completed' }])
    }
  })

  test('[APP-14] what a server receives is left alone at the start of another', async () => {
    await using folder = await temporaryDataFolder()
    const incoming = join(folder.path, 'plans', '.incoming', 'of-another')
    await mkdir(incoming, { recursive: true })
    await writeFile(join(incoming, 'package.zip'), 'half of it')
    await using _bed = await openBed({ dataDir: folder.path, settings: { databaseUrl: await postgresUrl() } })
    expect(await readdir(incoming)).toEqual(['package.zip'])
  })

  test('[DB-7] [DB-8] without its tables the server ends with what to do', async () => {
    await using folder = await temporaryFolder()
    const url = new URL(await postgresUrl({ empty: true }))
    url.password = 'hidden-word'
    const child = spawn(process.execPath, [main], {
      env: { ...compileCache(), SLIPWAY_DATA_DIR: folder.path, SLIPWAY_PORT: '0', SLIPWAY_DATABASE_URL: url.href },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [errors, out, [code]] = await Promise.all([
      text(child.stderr),
      text(child.stdout),
      once(child, 'exit') as Promise<[number | null]>,
    ])
    expect({ code, out, errors }).toEqual({
      code: 2,
      out: '',
      errors: expect.stringContaining('`slipway migrate`') as string,
    })
    expect(errors).not.toContain('hidden-word')
  })
})
