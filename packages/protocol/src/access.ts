import { z } from 'zod'
import { route } from './route.ts'
import { OrganisationId, Scope } from './scopes.ts'

export const TokenId = z
  .string()
  .regex(/^[0-9a-f]{16}$/)
  .brand('TokenId')
export type TokenId = z.infer<typeof TokenId>

/** A token without its secret, which nobody sees a second time. */
export const TokenView = z.object({
  id: TokenId,
  name: z.string(),
  organisation: OrganisationId,
  scopes: z.array(Scope),
  /** The subject of whoever made it. */
  created_by: z.string(),
  created_at: z.string(),
  /** Null for one that holds until it is revoked. */
  expires_at: z.string().nullable(),
  /** To the minute. */
  last_used_at: z.string().nullable(),
  revoked_at: z.string().nullable(),
  status: z.enum(['valid', 'expired', 'revoked']),
})
export type TokenView = z.infer<typeof TokenView>

const daySeconds = 86_400

export const CreateToken = z.object({
  name: z.string().trim().min(1).max(100),
  /** The caller's own unless given; others are for the operator of the server alone. One that is new is made. */
  organisation: OrganisationId.optional(),
  scopes: z
    .array(Scope)
    .min(1)
    .max(20)
    .transform(given => [...new Set(given)])
    .default(['read:plans', 'read:jobs', 'write:jobs']),
  /** Null for a token that holds until it is revoked. */
  expires_in_seconds: z
    .number()
    .int()
    .min(1)
    .max(3650 * daySeconds)
    .nullable()
    .default(90 * daySeconds),
})
export type CreateToken = z.infer<typeof CreateToken>

export const CreatedToken = TokenView.extend({
  /** Shown this once. */
  token: z.string(),
  /** Whether its organisation is new. */
  new_organisation: z.boolean(),
  /** Whether the server was open to its own machine so far and asks everybody for a token from now on. */
  closes_server: z.boolean(),
})
export type CreatedToken = z.infer<typeof CreatedToken>

export const createToken = route({
  method: 'POST',
  path: '/api/tokens',
  scope: 'admin',
  summary: 'Make a token. Its text is shown in this reply and never again.',
  tag: 'access',
  body: CreateToken,
  reply: CreatedToken,
  status: 201,
  errors: ['input.invalid'],
})

export const listTokens = route({
  method: 'GET',
  path: '/api/tokens',
  scope: 'admin',
  summary: "The organisation's tokens, newest first; those of all organisations for the operator of the server.",
  tag: 'access',
  query: z.object({
    organisation: OrganisationId.optional(),
    limit: z.coerce.number().int().min(1).max(500).default(100),
    after: z.coerce.number().int().min(0).optional(),
  }),
  reply: z.array(TokenView),
  errors: ['input.invalid'],
})

export const revokeToken = route({
  method: 'DELETE',
  path: '/api/tokens/:id',
  scope: 'admin',
  summary: 'End a token. It opens nothing any more, and what is open with it is closed.',
  tag: 'access',
  params: z.object({ id: TokenId }),
  reply: TokenView,
  errors: ['token.unknown'],
})

export const Caller = z.object({
  organisation: OrganisationId,
  /** `token:` and the id of a token, `operator` with the configured token, `local` on a server that asks for none. */
  subject: z.string(),
  scopes: z.array(Scope),
  /** Runs the server: may name any organisation. */
  operator: z.boolean(),
})
export type Caller = z.infer<typeof Caller>

export const getCaller = route({
  method: 'GET',
  path: '/api/me',
  scope: 'any',
  summary: 'Who the server takes the caller for, and what that one may do.',
  tag: 'access',
  reply: Caller,
  errors: [],
})

/** Something that was done to a thing of the organisation, and how that was then. */
export const AuditEntry = z.object({
  kind: z.enum(['policy', 'circuit', 'token']),
  /** Of a token its id. */
  name: z.string(),
  change: z.enum([
    'put',
    'activated',
    'deactivated',
    'declared',
    'rolled_back',
    'enabled',
    'paused',
    'deleted',
    'created',
    'revoked',
  ]),
  version: z.number().nullable(),
  /** SHA-256 of what it is made of, in hexadecimal digits. */
  digest: z.string().nullable(),
  /** Further facts, such as the topics of a policy. */
  details: z.record(z.string(), z.json()),
  by: z.string(),
  at: z.string(),
})
export type AuditEntry = z.infer<typeof AuditEntry>

export const listAudit = route({
  method: 'GET',
  path: '/api/audit',
  scope: 'admin',
  summary:
    'Who changed policies, circuits and tokens, newest first, also those that are gone. A further page is named in the `Link` header.',
  tag: 'access',
  query: z.object({
    kind: AuditEntry.shape.kind.optional(),
    name: z.string().max(200).optional(),
    limit: z.coerce.number().int().min(1).max(500).default(50),
    after: z.coerce.number().int().min(1).optional(),
  }),
  reply: z.array(AuditEntry),
  errors: ['input.invalid'],
})
