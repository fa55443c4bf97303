import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { AppError } from '@slipway/protocol/errors'
import { resolveSettings, unknownSettings, type ResolvedSetting, type Settings } from '@slipway/protocol/settings'
import { isPostgres } from '#db/place'

export interface Config {
  readonly settings: Settings
  /** Each setting with where it comes from, for `slipway config` and the first log line. */
  readonly resolved: readonly ResolvedSetting[]
  readonly env: Environment
  /** What `config/server.yaml` says that no setting has. */
  readonly unknown: readonly string[]
}

/** Reads one variable. Keys of models are asked for when they are needed and are never kept. */
export type Environment = (name: string) => string | undefined

const processEnvironment: Environment = name => process.env[name]

/** Variables, then `config/server.yaml` of the data folder, then defaults. Throws `config.invalid` with every problem. */
export async function readConfig(env: Environment = processEnvironment): Promise<Config> {
  const dataDir = env('SLIPWAY_DATA_DIR') ?? env('NORMCODE_DATA_DIR') ?? './data'
  const file = await readYaml(join(dataDir, 'config', 'server.yaml'))
  const { resolved, problems } = resolveSettings(env, file)
  if (problems.length > 0) {
    const lines = problems.map(({ name, source, message }) => `  ${name} (${source}): ${message}`)
    throw new AppError('config.invalid', `The settings are not valid:\n${lines.join('\n')}`, { details: problems })
  }
  return { settings: settingsOf(resolved), resolved, env, unknown: unknownSettings(file) }
}

/** The defaults with these settings over them and no environment: for tests and for embedding. */
export function defaultSettings(over: Partial<Settings>): Settings {
  return { ...settingsOf(resolveSettings(() => undefined).resolved), ...over }
}

// The table's own types checked each value.
function settingsOf(resolved: readonly ResolvedSetting[]): Settings {
  return Object.fromEntries(resolved.map(({ name, value }) => [name, value])) as unknown as Settings
}

async function readYaml(file: string): Promise<unknown> {
  if (!existsSync(file)) return {}
  const { parseDocument } = await import('yaml')
  const document = parseDocument(await readFile(file, 'utf8'))
  const [problem] = document.errors
  if (problem) throw new AppError('config.invalid', `${file} is not valid YAML: ${problem.message}`)
  return document.toJS({ maxAliasCount: 100 }) ?? {}
}

/** Where things are on disk; all absolute. */
export interface Paths {
  readonly dataDir: string
  /** A SQLite file, or the URL of a Postgres. */
  readonly database: string
  readonly lock: string
  readonly plansDir: string
  readonly runsDir: string
  readonly sandboxDir: string
  readonly agentsFile: string
  readonly operatorsFile: string
}

export function pathsOf(settings: Settings): Paths {
  const dataDir = resolve(settings.dataDir)
  return {
    dataDir,
    database: placeOf(settings.databaseUrl ?? 'slipway.db', dataDir),
    lock: join(dataDir, 'server.lock'),
    plansDir: resolve(dataDir, settings.plansDir),
    runsDir: resolve(dataDir, settings.runsDir),
    sandboxDir: join(dataDir, 'sandbox'),
    agentsFile: join(dataDir, 'config', 'agents.yaml'),
    operatorsFile: join(dataDir, 'config', 'operators.yaml'),
  }
}

function placeOf(database: string, dataDir: string): string {
  return isPostgres(database) ? database : resolve(dataDir, database.replace(/^file:(\/\/)?/i, ''))
}
