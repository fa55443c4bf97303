import { once } from 'node:events'
import { createServer } from 'node:net'
import { AppError } from '@slipway/protocol/errors'
import type { Settings } from '@slipway/protocol/settings'
import { createGuard } from './guard.ts'

export type AddressSettings = Pick<Settings, 'host' | 'port' | 'apiToken' | 'trustedHosts' | 'corsOrigins'>

/**
 * Says at once what the listener would say once it is there. Throws `config.invalid` when nobody can listen at this
 * address now, and for settings that would leave it open to others.
 */
export async function checkAddress(settings: AddressSettings): Promise<void> {
  createGuard(settings)
  const { host, port } = settings
  const probe = createServer().listen({ host, port })
  try {
    await once(probe, 'listening')
  } catch (error) {
    throw unusableAddress(error, settings)
  }
  probe.close()
  await once(probe, 'close')
}

/** What a failure to listen is to the person who set the address. */
export function unusableAddress(error: unknown, { host, port }: Pick<Settings, 'host' | 'port'>): unknown {
  const { code } = error as { readonly code?: string }
  if (code === 'EADDRINUSE') {
    return new AppError(
      'config.invalid',
      `Port ${port} on ${host} is in use. Stop what listens there, or set SLIPWAY_PORT to another port (0 takes a free one).`,
    )
  }
  if (code === 'EACCES') {
    return new AppError(
      'config.invalid',
      `Port ${port} may not be used by this user. Set SLIPWAY_PORT to one above 1023.`,
    )
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new AppError('config.invalid', `${host} is no address of this machine. Set SLIPWAY_HOST to one of its own.`)
  }
  return error
}
