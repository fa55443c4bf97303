import { z } from 'zod'
import { route } from './route.ts'

export const PolicyName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'A policy has a name of lower-case letters, digits and -, at most 63.')

/** Which topics a policy looks at: words of a topic, `*` for any one word, and `>` as the last for all that follow. */
export const TopicPattern = z
  .string()
  .max(200)
  .regex(
    /^(>|([A-Za-z0-9][A-Za-z0-9_-]{0,63}|\*)(\.([A-Za-z0-9][A-Za-z0-9_-]{0,63}|\*)){0,7}(\.>)?)$/,
    'A pattern is words of a topic, with * for any one word and > at the end for all that follow, such as *.jobs or genesis.>',
  )

export const PolicyView = z.object({
  name: PolicyName,
  topics: TopicPattern,
  /** Raised by every new module. */
  version: z.number().int(),
  active: z.boolean(),
  /** SHA-256 of the module, in hexadecimal digits. */
  digest: z.string(),
  bytes: z.number().int(),
  /** Whether this server could load it. Where it could not, messages of its topics are refused. */
  loaded: z.boolean(),
  changed_by: z.string(),
  changed_at: z.string(),
})
export type PolicyView = z.infer<typeof PolicyView>

export const PutPolicy = z.object({
  topics: TopicPattern,
  /** A WebAssembly module in base64, as `arqon_host_v1` has it. */
  module: z.base64(),
  active: z.boolean().default(true),
})
export type PutPolicy = z.infer<typeof PutPolicy>

const params = z.object({ name: PolicyName })

export const putPolicy = route({
  method: 'PUT',
  path: '/api/policies/:name',
  scope: 'admin',
  summary: 'Load a policy, or a new version of it. What cannot be loaded changes nothing.',
  tag: 'bus',
  params,
  body: PutPolicy,
  reply: PolicyView,
  errors: ['policy.invalid', 'body.too_large'],
})

export const listPolicies = route({
  method: 'GET',
  path: '/api/policies',
  scope: 'admin',
  summary: "The organisation's policies, by name.",
  tag: 'bus',
  reply: z.array(PolicyView),
  errors: [],
})

export const getPolicy = route({
  method: 'GET',
  path: '/api/policies/:name',
  scope: 'admin',
  summary: 'One policy.',
  tag: 'bus',
  params,
  reply: PolicyView,
  errors: ['policy.unknown'],
})

export const activatePolicy = route({
  method: 'POST',
  path: '/api/policies/:name/activate',
  scope: 'admin',
  summary: 'Let a policy look at messages again.',
  tag: 'bus',
  params,
  reply: PolicyView,
  errors: ['policy.unknown'],
})

export const deactivatePolicy = route({
  method: 'POST',
  path: '/api/policies/:name/deactivate',
  scope: 'admin',
  summary: 'Keep a policy, but let it look at nothing.',
  tag: 'bus',
  params,
  reply: PolicyView,
  errors: ['policy.unknown'],
})

export const deletePolicy = route({
  method: 'DELETE',
  path: '/api/policies/:name',
  scope: 'admin',
  summary: 'Remove a policy.',
  tag: 'bus',
  params,
  reply: PolicyView,
  errors: ['policy.unknown'],
})
