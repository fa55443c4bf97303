import pino, { type DestinationStream, type Logger } from 'pino'

export type { Logger } from 'pino'

export interface LogSettings {
  readonly logLevel: string
  /** Where lines go; standard error by default, so that standard output stays free for what a command prints. */
  readonly destination?: DestinationStream | undefined
}

/** Names under which secrets travel; what a careless line holds under one of them is not written. */
const secretNames = [
  'authorization',
  'apiToken',
  'api_key',
  'apiKey',
  'token',
  'password',
  'cookie',
  'databaseUrl',
  'natsUrl',
]
const redacted = secretNames.flatMap(name => [name, `*.${name}`, `*.*.${name}`])

/** JSON lines, one fact a line: the message is a constant and the fields carry what differs. */
export function createLogger({ logLevel, destination }: LogSettings): Logger {
  return pino(
    {
      level: logLevel,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: label => ({ level: label }) },
      redact: { paths: redacted, censor: '[secret]' },
      serializers: { error: pino.stdSerializers.err, err: pino.stdSerializers.err },
    },
    // Written at once, so that the last lines of a process that ends are there.
    destination ?? pino.destination({ fd: 2, sync: true }),
  )
}

export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}
