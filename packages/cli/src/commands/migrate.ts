import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import { exitOf, spawnMigration } from '../server-program.ts'
import type { Cli } from '../session.ts'

interface MigrateFlags {
  readonly check?: boolean
  readonly data?: string
}

export function addMigrate(program: Command, cli: Cli): void {
  program
    .command('migrate')
    .description('Bring the configured database to the schema of this release. A server on Postgres starts only then.')
    .option('--check', 'change nothing; exit 1 when something is missing')
    .option('-d, --data <folder>', 'data folder whose settings and database are meant (./data)')
    .action(
      cli.act(async ({ json, signal }, { check, data }: MigrateFlags) => {
        const parameters = [check === true ? '--check' : '', json ? '--json' : '']
        const child = spawnMigration(parameters.filter(Boolean), { data })
        const stop = (): void => void child.kill('SIGTERM')
        signal.addEventListener('abort', stop)
        const code = await exitOf(child)
        signal.removeEventListener('abort', stop)
        if (code === 0) return exitCodes.done
        return code === 2 ? exitCodes.wrongUse : exitCodes.failed
      }),
    )
}
