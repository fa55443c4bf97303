import { AppError } from '../errors.ts'

/** Carries the token with every message that a client sends over a broker. */
export const tokenHeader = 'Slipway-Token'
/** On each part of a frame but the last: more of it follows. */
export const moreHeader = 'Slipway-More'
/** On a job: for which connection it was leased. */
export const connectionHeader = 'Slipway-Connection'

/** How a broker is reached, in the words of its client. */
export interface BrokerAddress {
  readonly servers: readonly string[]
  readonly user?: string
  readonly pass?: string
  readonly token?: string
  readonly isSecure: boolean
}

export function isBrokerUrl(url: string): boolean {
  return /^(nats|tls):\/\//.test(url)
}

/**
 * Reads `nats://user:password@host:4222`, or `tls://`, and more of them separated by commas; a user without a password is
 * a token. Throws `config.invalid`.
 */
export function brokerAddress(text: string): BrokerAddress {
  const urls = text.split(',').map(part => readUrl(part.trim()))
  const [first] = urls
  if (first === undefined) throw notOne()
  const { user, pass, scheme } = first
  if (urls.some(url => url.scheme !== scheme)) throw notOne()
  return {
    servers: urls.map(({ host }) => host),
    ...(pass !== '' ? { user, pass } : user !== '' ? { token: user } : {}),
    isSecure: scheme === 'tls',
  }
}

/** Where a broker is, without what opens it: for messages. */
export function brokerName(url: string): string {
  const { servers, isSecure } = brokerAddress(url)
  return `${isSecure ? 'tls' : 'nats'}://${servers.join(',')}`
}

/** A frame in parts of at most so many bytes. */
export function partsOf(frame: Uint8Array, mostBytes: number): Uint8Array[] {
  const parts: Uint8Array[] = []
  for (let at = 0; at === 0 || at < frame.length; at += mostBytes) parts.push(frame.subarray(at, at + mostBytes))
  return parts
}

/** Puts frames together again from their parts, which come in order. */
export class FrameParts {
  readonly #mostBytes: number
  #waiting: Uint8Array[] = []
  #size = 0

  /** Frames that are larger are refused. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes
  }

  /** The whole frame, or null while parts are missing. Throws `frame.too_large`. */
  add(part: Uint8Array, { isLast }: { readonly isLast: boolean }): Uint8Array | null {
    this.#size += part.length
    if (this.#size > this.#mostBytes)
      throw new AppError('frame.too_large', `A frame has at most ${this.#mostBytes} bytes.`)
    this.#waiting.push(part)
    if (!isLast) return null
    const whole = this.#waiting.length === 1 ? part : joined(this.#waiting, this.#size)
    this.#waiting = []
    this.#size = 0
    return whole
  }
}

function joined(parts: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

interface ReadUrl {
  readonly host: string
  readonly user: string
  readonly pass: string
  readonly scheme: string
}

function readUrl(text: string): ReadUrl {
  const [, scheme = '', rest = ''] = /^(nats|tls):\/\/(.+)$/.exec(text) ?? []
  try {
    // Only addresses of the web are read the same way everywhere.
    const { hostname, port, username, password } = new URL(`http://${rest}`)
    if (scheme === '') throw notOne()
    const host = `${hostname}:${port || (rest.endsWith(':80') ? '80' : '4222')}`
    return { host, user: decodeURIComponent(username), pass: decodeURIComponent(password), scheme }
  } catch {
    throw notOne()
  }
}

function notOne(): AppError {
  return new AppError('config.invalid', 'A broker is nats://user:password@host:4222, or tls:// for an encrypted one.')
}
