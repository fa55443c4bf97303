import type { Command } from 'commander'
import type { Cli } from '../session.ts'
import { watchToEnd } from '../watch.ts'

export function addWatch(program: Command, cli: Cli): void {
  program
    .command('watch')
    .description('Show a run, from its start, until it ends, then its result. Ctrl-C leaves it alone.')
    .argument('<run>', 'id of the run')
    .action(cli.act(async (session, id: string) => watchToEnd(session, await session.client.run(id))))
}
