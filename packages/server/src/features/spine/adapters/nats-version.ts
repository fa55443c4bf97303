import { AppError } from '@slipway/protocol/errors'

/** What the broker says of itself when somebody connects. */
export interface BrokerInfo {
  readonly version: string
  readonly jetstream?: boolean | undefined
  /** Bytes of the largest message. */
  readonly max_payload: number
}

const oldest = [2, 9] as const
/** Jobs have up to 1 MiB, with a little around it. */
const wholeJobBytes = 1_114_112

/** What only newer versions have, as far as it makes a difference here. */
const since: readonly { readonly minor: number; readonly says: string }[] = [
  { minor: 10, says: 'sync_interval, which says when it writes to the disk (2.10)' },
  { minor: 10, says: 'consumers with several filters (2.10); each operator has one of its own' },
  { minor: 11, says: 'a time to live for each message (2.11); the lease of a job says whether it still holds' },
]

/** Throws `broker.unsupported` for a broker that cannot keep jobs for operators. */
export function checkBroker({ version, jetstream }: BrokerInfo): void {
  const [major, minor] = numbers(version)
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1]))
    throw new AppError(
      'broker.unsupported',
      `The broker is nats-server ${version}, and ${oldest.join('.')} is the oldest that can be used. Install a newer one.`,
    )
  if (jetstream !== true)
    throw new AppError('broker.unsupported', 'The broker runs without JetStream. Start nats-server with -js.')
}

/** What this broker does not have, in words for the log; all of it is done without. */
export function lacks({ version, max_payload: mostBytes }: BrokerInfo): string[] {
  const [major, minor] = numbers(version)
  const lacking = since.filter(feature => major === oldest[0] && minor < feature.minor).map(({ says }) => says)
  if (mostBytes < wholeJobBytes)
    lacking.push(
      `messages of 1 MiB and more: max_payload is ${mostBytes} bytes. Larger jobs go over the connection and are not kept; set it to 2MB`,
    )
  return lacking
}

function numbers(version: string): readonly [number, number] {
  const [, major = '0', minor = '0'] = /^v?(\d+)\.(\d+)/.exec(version) ?? []
  return [Number(major), Number(minor)]
}
