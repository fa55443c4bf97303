import { createClient, type Client } from '@slipway/sdk/client'
import { writeJson } from '@slipway/sdk/json'
import type { Command } from 'commander'
import type { Environment } from './environment.ts'
import { exitCodes, type ExitCode } from './exit-codes.ts'
import { createTerminal, type Terminal } from './terminal.ts'

/** What a command works with. */
export interface Session {
  readonly client: Client
  readonly terminal: Terminal
  readonly environment: Environment
  /** Whether standard output carries JSON and nothing else. */
  readonly json: boolean
  /** Aborted by Ctrl-C or SIGTERM. */
  readonly signal: AbortSignal
  readonly printJson: (value: unknown) => void
  /** Other options of the whole program, for commands that start a child with them. */
  readonly globals: Globals
}

export interface Globals {
  readonly url?: string
  readonly token?: string
  readonly json?: boolean
  readonly color: boolean
  readonly quiet?: boolean
}

/** Makes actions for commander out of functions that take a session and say how the process ends. */
export interface Cli {
  act<Args extends readonly unknown[]>(
    work: (session: Session, ...args: Args) => Promise<ExitCode>,
  ): (...args: [...Args, Command]) => Promise<void>
}

export interface CliOptions {
  readonly environment: Environment
  readonly signal: AbortSignal
  readonly finish: (code: ExitCode) => void
}

export function createCli({ environment, signal, finish }: CliOptions): Cli {
  return {
    act<Args extends readonly unknown[]>(work: (session: Session, ...args: Args) => Promise<ExitCode>) {
      return async (...args: [...Args, Command]): Promise<void> => {
        // Commander hands over the arguments, the options, and the command itself last.
        const command = args.at(-1) as Command
        const given = args.slice(0, -1) as unknown as Args
        finish(await work(openSession({ environment, signal }, command.optsWithGlobals<Globals>()), ...given))
      }
    },
  }
}

export function openSession(
  { environment, signal }: Pick<CliOptions, 'environment' | 'signal'>,
  globals: Globals,
): Session {
  const terminal = createTerminal({ color: globals.color && !environment.noColor, quiet: globals.quiet ?? false })
  const url = globals.url ?? environment.url
  const token = globals.token ?? environment.token
  // Made on first use, so that commands that need no server do not mind a wrong address.
  let client: Client | undefined
  return {
    get client() {
      client ??= createClient({ url, token, signal })
      return client
    },
    terminal,
    environment,
    json: globals.json ?? false,
    signal,
    printJson: value => terminal.print(writeJson(value, 2)),
    globals: { ...globals, url, ...(token === undefined ? {} : { token }) },
  }
}

export function codeFor(ok: boolean): ExitCode {
  return ok ? exitCodes.done : exitCodes.failed
}
