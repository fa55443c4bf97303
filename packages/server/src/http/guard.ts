import type { IncomingHttpHeaders } from 'node:http'
import { isIP } from 'node:net'
import { AppError } from '@slipway/protocol/errors'

export interface GuardSettings {
  /** The address listened on. */
  readonly host: string
  readonly apiToken: string | null
  readonly trustedHosts: readonly string[]
  readonly corsOrigins: readonly string[]
}

/** What stands between the network and the routes: who may speak to the server under which name, and from where. */
export interface Guard {
  /** Throws `host.forbidden`: a page of another site that had its name point here must not reach the server. */
  checkHost(headers: IncomingHttpHeaders): void
  /** The origin to answer with CORS headers, or null. Throws `origin.forbidden` where `strict` and the origin is foreign. */
  checkOrigin(headers: IncomingHttpHeaders, options: { readonly strict: boolean }): string | null
}

/** Throws `config.invalid` for settings that would leave the server open. */
export function createGuard(settings: GuardSettings): Guard {
  refuseOpenServer(settings)
  const isTrusted = hostTest(settings)
  return {
    checkHost(headers) {
      const name = hostName(headers.host)
      if (name === null || !isTrusted(name)) throw foreignHost(headers.host)
    },
    checkOrigin(headers, { strict }) {
      const { origin } = headers
      if (origin === undefined || isSameOrigin(origin, headers.host)) return null
      if (settings.corsOrigins.some(allowed => allowed === '*' || allowed.replace(/\/$/, '') === origin)) return origin
      if (!strict) return null
      throw new AppError(
        'origin.forbidden',
        `Pages of ${quoted(origin)} may not call this server. Add the origin to SLIPWAY_CORS_ORIGINS if they should.`,
      )
    },
  }
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}

function refuseOpenServer({ host, apiToken, corsOrigins }: GuardSettings): void {
  if (apiToken !== null) return
  if (!isLoopback(host)) {
    throw new AppError(
      'config.invalid',
      `Listening on ${host} lets other machines in. Set SLIPWAY_API_TOKEN to a secret of at least 16 characters, ` +
        'or listen on 127.0.0.1.',
    )
  }
  if (corsOrigins.includes('*')) {
    throw new AppError(
      'config.invalid',
      'SLIPWAY_CORS_ORIGINS=* without SLIPWAY_API_TOKEN lets every web page use this server. Name the origins, or set a token.',
    )
  }
}

function hostTest({ host, trustedHosts }: GuardSettings): (name: string) => boolean {
  const names = new Set([host, ...trustedHosts].map(name => bareName(name)))
  const suffixes = trustedHosts.filter(name => name.startsWith('*.')).map(name => bareName(name.slice(1)))
  const everyAddress = host === '0.0.0.0' || host === '::'
  return name =>
    isLoopback(name) ||
    names.has(name) ||
    names.has('*') ||
    suffixes.some(suffix => name.endsWith(suffix)) ||
    // Somebody else's name can be made to point here; a bare address cannot be anybody else's name.
    (everyAddress && isIP(name) !== 0)
}

/** The name in a `Host` header without its port, lower case; null when it is none. */
function hostName(header: string | undefined): string | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]/@\s]+))(?::\d{1,5})?$/i.exec(header ?? '')
  const name = match?.[1] ?? match?.[2]
  return name === undefined ? null : bareName(name)
}

function bareName(name: string): string {
  return name
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')
}

function foreignHost(host: string | undefined): AppError {
  return new AppError(
    'host.forbidden',
    `This server does not answer to the name ${quoted(host ?? '')}. ` +
      'Add the name to SLIPWAY_TRUSTED_HOSTS if it is its own.',
  )
}

// A proxy in front may speak https while this server speaks http: the name and port decide.
function isSameOrigin(origin: string, host: string | undefined): boolean {
  if (host === undefined || !URL.canParse(origin)) return false
  const { protocol, host: given } = new URL(origin)
  return /^https?:$/.test(protocol) && given === new URL(`${protocol}//${host}`).host
}

function quoted(text: string): string {
  return JSON.stringify(text.slice(0, 200))
}
