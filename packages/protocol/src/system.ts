import { z } from 'zod'
import { route } from './route.ts'

const Check = z.object({ status: z.enum(['ok', 'failing']), detail: z.string().optional() })

export const livez = route({
  method: 'GET',
  path: '/livez',
  scope: 'public',
  summary: 'The process answers.',
  tag: 'system',
  reply: z.object({ status: z.literal('ok') }),
  errors: [],
})

export const readyz = route({
  method: 'GET',
  path: '/readyz',
  scope: 'public',
  summary: 'The server takes work: database open and migrated, not stopping. 503 otherwise.',
  tag: 'system',
  reply: z.object({ status: z.enum(['ready', 'stopping', 'failing']), checks: z.record(z.string(), Check) }),
  errors: [],
})

export const Health = z.object({
  status: z.enum(['ok', 'degraded']),
  version: z.string(),
  uptime_seconds: z.number(),
  sandbox: z.string(),
  plans: z.number().int(),
  runs: z.object({ running: z.number().int(), pending: z.number().int() }),
  checks: z.record(z.string(), Check),
})
export type Health = z.infer<typeof Health>

export const healthz = route({
  method: 'GET',
  path: '/healthz',
  aliases: ['/health'],
  scope: 'any',
  summary: 'What runs here and how it is.',
  tag: 'system',
  reply: Health,
  errors: [],
})

export const AgentView = z.object({
  name: z.string(),
  provider: z.string(),
  model: z.string(),
  /** Whether the variable that the agent's key is read from is set; null where no key is needed. */
  key_present: z.boolean().nullable(),
  is_default: z.boolean(),
})

export const listModels = route({
  method: 'GET',
  path: '/api/models',
  scope: 'read:jobs',
  summary: 'The configured agents. Keys are never part of it.',
  tag: 'models',
  reply: z.array(AgentView),
  errors: [],
})
