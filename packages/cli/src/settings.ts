import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { resolveSettings, settings, type ResolvedSetting, type SettingsProblem } from '@slipway/protocol/settings'
import { AppError } from '@slipway/protocol/errors'
import { parse } from 'yaml'
import type { Environment } from './environment.ts'

export interface ReadSettings {
  readonly resolved: readonly ResolvedSetting[]
  readonly problems: readonly SettingsProblem[]
  /** The config file that was read, or null. */
  readonly file: string | null
  readonly dataDir: string
}

/** The settings that a server started here would have; `data` stands for its `--data`. */
export async function readSettings(environment: Environment, data?: string): Promise<ReadSettings> {
  const variable = (name: string): string | undefined =>
    name === 'SLIPWAY_DATA_DIR' && data !== undefined ? data : environment.variable(name)
  const dataDir = variable('SLIPWAY_DATA_DIR') ?? variable('NORMCODE_DATA_DIR') ?? settings.dataDir.fallback
  const path = join(dataDir, 'config', 'server.yaml')
  const content = await readYaml(path)
  return { ...resolveSettings(variable, content ?? {}), file: content === undefined ? null : path, dataDir }
}

/** The content of a YAML file; undefined when there is none. */
export async function readYaml(path: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw error
  }
  try {
    return parse(text) as unknown
  } catch (error) {
    throw new AppError(
      'config.invalid',
      `${path} is not valid YAML: ${error instanceof Error ? error.message : String(error)}`,
      {
        cause: error,
      },
    )
  }
}
