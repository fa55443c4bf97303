import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import { exitOf, spawnServer, type ServerFlags } from '../server-program.ts'
import type { Cli } from '../session.ts'

export function addUp(program: Command, cli: Cli): void {
  program
    .command('up')
    .description('Start the server here and keep it in the foreground.')
    .option('-p, --port <port>', 'port to listen on; 0 takes a free one (8000)')
    .option('--host <address>', 'address to listen on; any but loopback needs SLIPWAY_API_TOKEN (127.0.0.1)')
    .option('-d, --data <folder>', 'folder of the database, the plans and the runs (./data)')
    .option('--log-level <level>', 'trace, debug, info, warn, error or silent (info)')
    .action(
      cli.act(async ({ signal }, flags: ServerFlags) => {
        const child = spawnServer(flags, 'inherit')
        const stop = (): void => void child.kill('SIGTERM')
        signal.addEventListener('abort', stop)
        const code = await exitOf(child)
        signal.removeEventListener('abort', stop)
        if (code === 0) return exitCodes.done
        // The server says 2 of itself when it cannot start with these settings.
        return code === 2 ? exitCodes.wrongUse : exitCodes.failed
      }),
    )
}
