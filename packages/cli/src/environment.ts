/** What the command line reads of its surroundings. The only file that touches `process.env`. */
export interface Environment {
  readonly variable: (name: string) => string | undefined
  /** Address of the server unless `--url` says otherwise. */
  readonly url: string
  readonly token: string | undefined
  readonly noColor: boolean
}

export function readEnvironment(variables: NodeJS.ProcessEnv = process.env): Environment {
  const variable = (name: string): string | undefined => (variables[name] === '' ? undefined : variables[name])
  const port = variable('SLIPWAY_PORT') ?? variable('API_PORT') ?? variable('NORMCODE_PORT') ?? '8000'
  return {
    variable,
    url: variable('SLIPWAY_URL') ?? `http://127.0.0.1:${port}`,
    token: variable('SLIPWAY_API_TOKEN'),
    noColor: variable('NO_COLOR') !== undefined || variable('TERM') === 'dumb',
  }
}

/** The environment of a child process: this one's with some variables set. */
export function childEnvironment(changes: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const given = Object.entries(changes).filter(([, value]) => value !== undefined)
  return { ...process.env, ...Object.fromEntries(given) }
}
