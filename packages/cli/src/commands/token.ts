import type { TokenView } from '@slipway/protocol/access'
import { scopeNames, type Scope } from '@slipway/protocol/scopes'
import { InvalidArgumentError, type Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { seconds } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { localTime, oneLine, table } from '../text.ts'

export function addToken(program: Command, cli: Cli): void {
  const token = program.command('token').description('Make, list and revoke the tokens that open this server.')
  token
    .command('create')
    .description('Make a token and print it. It is shown this once.')
    .requiredOption('--name <name>', 'what it is for')
    .option('--organisation <id>', 'whose it is; others than your own are for the operator of the server')
    .option(
      '--scope <scope>',
      `what it may do, several times: ${scopeNames.join(', ')} (read:plans, read:jobs and write:jobs unless given)`,
      collectScope,
      [],
    )
    .option('--expires <time>', '12h, 30d and the like, or never (90d unless given)', expiry)
    .action(cli.act(create))
  token
    .command('list')
    .description('List tokens, newest first. Their secrets are nowhere.')
    .option('--organisation <id>', 'only of this organisation')
    .action(cli.act(list))
  token
    .command('revoke')
    .description('End a token: it opens nothing any more, and what is open with it is closed.')
    .argument('<id>', 'id of the token, the part after slw_')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string) => {
        const revoked = await client.revokeToken(id)
        if (json) printJson(revoked)
        else terminal.print(`Revoked ${revoked.id} (${oneLine(revoked.name)}).`)
        return exitCodes.done
      }),
    )
}

interface CreateFlags {
  readonly name: string
  readonly organisation?: string
  readonly scope: readonly Scope[]
  /** Seconds. */
  readonly expires?: number | 'never'
}

async function create(session: Session, { name, organisation, scope, expires }: CreateFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson } = session
  const made = await client.createToken({
    name,
    ...(organisation === undefined ? {} : { organisation }),
    ...(scope.length === 0 ? {} : { scopes: [...scope] }),
    ...(expires === undefined ? {} : { expires_in_seconds: expires === 'never' ? null : expires }),
  })
  if (json) {
    printJson(made)
    return exitCodes.done
  }
  // The token alone goes to standard output, so that a script can take it from there.
  terminal.print(made.token)
  const until = made.expires_at === null ? 'until it is revoked' : `until ${localTime(made.expires_at)}`
  terminal.note(`${made.id} for ${made.organisation}: ${made.scopes.join(', ')}; holds ${until}. Shown this once.`)
  if (made.new_organisation) terminal.note(`The organisation ${made.organisation} is new.`)
  if (made.closes_server)
    terminal.note(
      'The server was open to this machine; from now on it asks everybody for a token. ' +
        'Set SLIPWAY_API_TOKEN for the server to have one of its operator.',
    )
  return exitCodes.done
}

async function list(session: Session, { organisation }: { readonly organisation?: string }): Promise<ExitCode> {
  const { client, terminal, json, printJson } = session
  const tokens: TokenView[] = []
  for (let after: string | undefined; ;) {
    const page = await client.tokens({ organisation, after, limit: 500 })
    tokens.push(...page.items)
    if (page.next === null) break
    after = page.next
  }
  if (json) printJson(tokens)
  else if (tokens.length === 0) terminal.print('There are no tokens. Make one with: slipway token create --name <name>')
  else
    terminal.print(
      table(['TOKEN', 'NAME', 'ORGANISATION', 'STATUS', 'EXPIRES', 'LAST USED', 'SCOPES'], tokens.map(tokenRow), {
        width: terminal.columns(),
      }),
    )
  return exitCodes.done
}

function tokenRow(token: TokenView): string[] {
  const { id, name, organisation, status, expires_at: expiresAt, last_used_at: usedAt, scopes } = token
  const expires = expiresAt === null ? 'never' : localTime(expiresAt)
  return [id, name, organisation, status, expires, usedAt === null ? 'never' : localTime(usedAt), scopes.join(', ')]
}

function collectScope(value: string, before: readonly Scope[]): readonly Scope[] {
  const found = scopeNames.find(name => name === value)
  if (found === undefined) throw new InvalidArgumentError(`It has to be one of ${scopeNames.join(', ')}.`)
  return [...before, found]
}

function expiry(text: string): number | 'never' {
  return text === 'never' ? text : Math.ceil(seconds(text))
}
