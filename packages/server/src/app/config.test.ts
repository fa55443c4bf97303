import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { defaultSettings, pathsOf, readConfig } from './config.ts'
import { readiness, type HealthSources } from './health.ts'
import { lazily } from './lazily.ts'

const folders: string[] = []
afterEach(() => folders.splice(0).forEach(folder => rmSync(folder, { recursive: true })))

function dataDir(yaml: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-config-'))
  folders.push(folder)
  mkdirSync(join(folder, 'config'))
  writeFileSync(join(folder, 'config', 'server.yaml'), yaml)
  return folder
}

function environment(variables: Record<string, string>) {
  return (name: string) => variables[name]
}

describe('settings', () => {
  test('[APP-6] a variable goes before the file, the file before the default', async () => {
    const folder = dataDir('server:\n  port: 9000\n  log_level: DEBUG\nexecution:\n  max_concurrent_runs: 3\n')
    const { settings } = await readConfig(environment({ SLIPWAY_DATA_DIR: folder, API_PORT: '9100' }))
    expect(settings).toMatchObject({ port: 9100, logLevel: 'debug', maxConcurrentRuns: 3, host: '127.0.0.1' })
  })

  test('[APP-6] the older names and the documented file are understood', async () => {
    const folder = dataDir(
      'server:\n  host: "0.0.0.0"\nstorage:\n  plans_dir: "/srv/plans"\n  runs_dir: later\n  provisions_dir: "/srv/p"\nexecution:\n  checkpoint_frequency: 5\n',
    )
    const { settings } = await readConfig(environment({ NORMCODE_DATA_DIR: folder, NORMCODE_MAX_CYCLES: '200' }))
    expect(settings).toMatchObject({ host: '0.0.0.0', defaultMaxCycles: 200, dataDir: folder })
    expect(pathsOf(settings)).toMatchObject({ plansDir: '/srv/plans', runsDir: join(folder, 'later') })
  })

  test('[APP-6] without anything the defaults hold', async () => {
    const { settings } = await readConfig(environment({ SLIPWAY_DATA_DIR: '/nowhere' }))
    expect(settings).toEqual(defaultSettings({ dataDir: '/nowhere' }))
    expect(pathsOf(defaultSettings({})).dataDir).toBe(resolve('data'))
  })
})

describe('readiness', () => {
  const well: HealthSources = {
    isStopping: () => false,
    pingDatabase: () => Promise.resolve(),
    broker: () => null,
    countPlans: () => Promise.resolve(0),
    countRuns: () => Promise.resolve({ running: 0, pending: 0 }),
    sandbox: () => Promise.resolve('wasm'),
  }

  test.each([
    ['ready', {}],
    ['ready', { broker: () => ({ isConnected: false, why: 'refused' }) as const }],
    ['stopping', { isStopping: () => true }],
    ['failing', { pingDatabase: () => Promise.reject(new Error('disk')) }],
  ])('[APP-7] %s', async (status, over) => {
    expect((await readiness({ ...well, ...over })).status).toBe(status)
  })
})

test('[APP-10] what is opened lazily is opened once, and again after a failure', async () => {
  let opened = 0
  const lazy = lazily(() => (opened++ === 0 ? Promise.reject(new Error('not yet')) : Promise.resolve('open')))
  expect(await lazy.opened()).toBeNull()
  await expect(lazy.get()).rejects.toThrow('not yet')
  expect(await Promise.all([lazy.get(), lazy.get(), lazy.opened()])).toEqual(['open', 'open', 'open'])
  expect(opened).toBe(2)
})

test('[APP-11] settings of the file that nobody reads are named', async () => {
  const folder = dataDir('server:\n  prot: 1\n  port: 8001\nexecution:\n  max_concurrent_runs: 2\n  colour: red\n')
  const { settings, unknown } = await readConfig(name => (name === 'SLIPWAY_DATA_DIR' ? folder : undefined))
  expect({ port: settings.port, unknown }).toEqual({ port: 8001, unknown: ['server.prot', 'execution.colour'] })
})

describe('the database', () => {
  test.each([
    [{}, 'data/slipway.db'],
    [{ SLIPWAY_DATABASE_URL: '' }, 'data/slipway.db'],
    [{ DATABASE_URL: 'other.db' }, 'data/other.db'],
    [{ DATABASE_URL: 'file:other.db' }, 'data/other.db'],
    [{ DATABASE_URL: 'file:///srv/other.db' }, '/srv/other.db'],
    [{ DATABASE_URL: '/srv/other.db' }, '/srv/other.db'],
    [{ DATABASE_URL: 'postgres://a:b@c:1/d?sslmode=require' }, 'postgres://a:b@c:1/d?sslmode=require'],
    [{ DATABASE_URL: 'mysql://a', SLIPWAY_DATABASE_URL: 'postgresql://c/d' }, 'postgresql://c/d'],
  ])('[APP-13] %j is %s', async (variables, place) => {
    const { settings } = await readConfig(environment(variables))
    const { database } = pathsOf(settings)
    expect(database).toBe(place.startsWith('p') ? place : resolve(place))
  })

  test.each(['mysql://a:hidden@b/c', 'http://a:hidden@b', 'postgres://a:hidden@[', 'sqlite://a'])(
    '[APP-13] [DB-8] %s is refused',
    async url => {
      const reading = readConfig(environment({ DATABASE_URL: url }))
      await expect(reading).rejects.toMatchObject({
        code: 'config.invalid',
        message: expect.stringMatching(/databaseUrl \(DATABASE_URL\): (?!.*hidden)/) as string,
      })
    },
  )
})
