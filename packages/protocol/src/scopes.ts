import { z } from 'zod'

/** What a token may be allowed to do, each with what it covers. */
export const scopes = {
  'read:plans': 'See deployed plans, their graphs and files.',
  'write:plans': 'Deploy, roll back and undeploy plans.',
  'read:jobs': 'See jobs and runs: states, results, events, traces, files, questions; and the configured agents.',
  'write:jobs': 'Submit and cancel jobs; start, steer, answer, debug, import and delete runs.',
  'operate:jobs': 'Be an operator: take jobs of any topic of the organisation, and end them.',
  'llm:invoke': 'Ask models directly.',
  'context:read': 'Search documents and context.',
  admin: 'Everything, also tokens and what deletes many runs at once.',
} as const

export type Scope = keyof typeof scopes
export const scopeNames = Object.keys(scopes) as readonly Scope[]
export const Scope = z.enum(scopeNames)

/**
 * Who may call a route: whoever has this scope; with `any`, whoever has a token that holds; with `public`, everybody,
 * since it says nothing that is anybody's.
 */
export type Access = Scope | 'any' | 'public'

export const OrganisationId = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'lower-case letters, digits and -, at most 63')
