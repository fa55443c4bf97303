import { z } from 'zod'

/** A setting of the server: its variable, its place in `config/server.yaml`, its default and what it does. */
export interface Setting {
  /** Variables in order of precedence. */
  readonly variables: readonly string[]
  /** Dotted path in `config/server.yaml`, where the file may set it. */
  readonly yaml?: string
  readonly type: z.ZodType
  readonly fallback: string | number | null
  readonly says: string
  /** Never printed or logged. */
  readonly secret?: boolean
}

export const count = z.coerce.number().int().min(1)
export const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform(given => given === 'true')])
