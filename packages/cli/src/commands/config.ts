import { settings, type ResolvedSetting } from '@slipway/protocol/settings'
import { writeJson } from '@slipway/sdk/json'
import type { Command } from 'commander'
import { codeFor, type Cli } from '../session.ts'
import { readSettings } from '../settings.ts'
import { table } from '../text.ts'

export function addConfig(program: Command, cli: Cli): void {
  program
    .command('config')
    .description(
      'Show every setting of a server started here, its value and where that comes from. Secrets are masked.',
    )
    .option('-d, --data <folder>', 'data folder whose config/server.yaml is read')
    .action(
      cli.act(async ({ terminal, json, printJson, environment }, { data }: { readonly data?: string }) => {
        const { resolved, problems, file } = await readSettings(environment, data)
        if (json) printJson({ file, settings: resolved.map(described), problems })
        else {
          const rows = resolved.map(setting => [
            setting.name,
            shown(setting),
            setting.source,
            settings[setting.name].variables[0],
            settings[setting.name].says,
          ])
          terminal.print(
            table(['SETTING', 'VALUE', 'FROM', 'VARIABLE', 'WHAT IT DOES'], rows, { width: wide(terminal.columns()) }),
          )
          for (const { name, source, message } of problems) terminal.complain(`${name} (${source}): ${message}`)
        }
        return codeFor(problems.length === 0)
      }),
    )
}

/** Explanations are worth a line that wraps; only the columns before them need to be aligned. */
function wide(columns: number): number {
  return Math.max(columns, 200)
}

function described(setting: ResolvedSetting): object {
  const { variables, says } = settings[setting.name]
  return {
    name: setting.name,
    value: isSecret(setting) ? shown(setting) : setting.value,
    source: setting.source,
    variables,
    says,
  }
}

function isSecret({ name }: ResolvedSetting): boolean {
  return 'secret' in settings[name]
}

function shown(setting: ResolvedSetting): string {
  const { value } = setting
  if (value === null || (Array.isArray(value) && value.length === 0)) return '(not set)'
  if (isSecret(setting)) return '********'
  return Array.isArray(value) ? value.join(', ') : typeof value === 'string' ? value : writeJson(value)
}
