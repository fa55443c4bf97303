import { z } from 'zod'
import { SchemaId } from './bus/envelope.ts'
import { operatorsTopic, planTopic, Topic, topicKind } from './bus/topics.ts'
import { route } from './route.ts'

export const CircuitName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'A name is lower-case letters, digits and -, such as audio-to-label.')

/** Messages of `from` that `when` lets through go, as `map` makes them, to `to`. */
export const CircuitEdge = z.strictObject({
  from: Topic.refine(topic => topicKind(topic) !== 'jobs', 'Jobs go to operators; begin with their results.').refine(
    topic => topicKind(topic) !== 'system' || topic === operatorsTopic,
    `Of the system's own topics there is ${operatorsTopic} alone.`,
  ),
  to: Topic.refine(
    topic => ['jobs', 'events'].includes(topicKind(topic)),
    'Results, streams and system topics come from the server alone.',
  ).refine(topic => topic !== planTopic, 'plan.jobs belongs to the plan engine. A run is submitted over HTTP.'),
  /** Of what is published; the message's own unless said. */
  schema: SchemaId.optional(),
  /** JSONata over the message's payload: only what it is true for goes on. */
  when: z.string().max(4_000).optional(),
  /** JSONata over the message's payload: the new payload. */
  map: z.string().max(4_000).optional(),
  /** Whether no operator may ever have taken jobs of `to`, or of the topic whose results or streams `from` has. */
  may_be_empty: z.boolean().default(false),
})
export type CircuitEdge = z.infer<typeof CircuitEdge>

export const usualHops = 16

export const CircuitDocument = z.strictObject({
  circuit: CircuitName,
  /** How often a message may be handed on. Circles are refused without it. */
  max_hops: z.int().min(1).max(64).optional(),
  edges: z.array(CircuitEdge).min(1).max(50),
})
export type CircuitDocument = z.infer<typeof CircuitDocument>

export const CircuitView = z.object({
  circuit: CircuitName,
  /** Rises with every change of the document. */
  version: z.number(),
  state: z.enum(['enabled', 'paused']),
  document: CircuitDocument,
  changed_at: z.string(),
  changed_by: z.string(),
  /** The number of the newest message that it has looked at. */
  seq: z.number(),
  /** Messages handed on, held back by `when`, refused or not to be mapped, and cut since they went round too often. */
  counts: z.object({ handed_on: z.number(), held_back: z.number(), failed: z.number(), cut: z.number() }),
  /** Why the last one failed or was cut. */
  last_problem: z.string().nullable(),
})
export type CircuitView = z.infer<typeof CircuitView>

/** What a circuit was at some time. */
export const CircuitVersion = z.object({
  circuit: CircuitName,
  version: z.number(),
  /** The version whose document this is, where that was put in force again. */
  restored: z.number().nullable(),
  made_at: z.string(),
  made_by: z.string(),
})
export type CircuitVersion = z.infer<typeof CircuitVersion>

export const CircuitVersionDetail = CircuitVersion.extend({ document: CircuitDocument })
export type CircuitVersionDetail = z.infer<typeof CircuitVersionDetail>

const VersionNumber = z.int().min(1)
const flag = z.stringbool().default(false)

const params = z.object({ name: CircuitName })
const errors = ['input.invalid', 'circuit.unknown'] as const

export const listCircuits = route({
  method: 'GET',
  path: '/api/circuits',
  scope: 'read:jobs',
  summary: "The organisation's circuits by their names.",
  tag: 'operators',
  reply: z.array(CircuitView),
  errors: [],
})

export const getCircuit = route({
  method: 'GET',
  path: '/api/circuits/:name',
  scope: 'read:jobs',
  summary: 'One circuit.',
  tag: 'operators',
  params,
  reply: CircuitView,
  errors,
})

export const putCircuit = route({
  method: 'PUT',
  path: '/api/circuits/:name',
  scope: 'admin',
  summary:
    'Declare a circuit, or change it; a new one is paused. With `dryRun` it is only checked, and the reply is what it would be.',
  tag: 'operators',
  params,
  query: z.object({ dryRun: flag }),
  body: CircuitDocument,
  reply: CircuitView,
  errors: ['input.invalid', 'circuit.invalid', 'mapping.busy'],
})

export const enableCircuit = route({
  method: 'POST',
  path: '/api/circuits/:name/enable',
  scope: 'admin',
  summary: 'Hand messages on: from now on, or from where it was paused.',
  tag: 'operators',
  params,
  reply: CircuitView,
  errors: [...errors, 'circuit.invalid', 'mapping.busy'],
})

export const pauseCircuit = route({
  method: 'POST',
  path: '/api/circuits/:name/pause',
  scope: 'admin',
  summary: 'Hand nothing on; messages wait as long as they are kept.',
  tag: 'operators',
  params,
  reply: CircuitView,
  errors,
})

export const listCircuitVersions = route({
  method: 'GET',
  path: '/api/circuits/:name/versions',
  scope: 'read:jobs',
  summary: 'What a circuit was before, newest first. A further page is named in the `Link` header.',
  tag: 'operators',
  params,
  query: z.object({
    limit: z.coerce.number().int().min(1).max(500).default(50),
    after: z.coerce.number().int().min(1).optional(),
  }),
  reply: z.array(CircuitVersion),
  errors,
})

export const getCircuitVersion = route({
  method: 'GET',
  path: '/api/circuits/:name/versions/:version',
  scope: 'read:jobs',
  summary: 'One version of a circuit with its document.',
  tag: 'operators',
  params: params.extend({ version: z.coerce.number().pipe(VersionNumber) }),
  reply: CircuitVersionDetail,
  errors,
})

export const rollbackCircuit = route({
  method: 'POST',
  path: '/api/circuits/:name/rollback',
  scope: 'admin',
  summary: 'Put an earlier version in force again, as a new version with its document.',
  tag: 'operators',
  params,
  body: z.object({ version: VersionNumber }),
  reply: CircuitView,
  errors: [...errors, 'circuit.invalid', 'mapping.busy'],
})

export const deleteCircuit = route({
  method: 'DELETE',
  path: '/api/circuits/:name',
  scope: 'admin',
  summary: 'Remove a circuit.',
  tag: 'operators',
  params,
  reply: z.object({ circuit: CircuitName }),
  errors,
})
