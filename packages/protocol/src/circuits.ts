import { z } from 'zod'
import { SchemaId } from './bus/envelope.ts'
import { Topic, topicKind } from './bus/topics.ts'
import { route } from './route.ts'

export const CircuitName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,62}$/, 'A name is lower-case letters, digits and -, such as audio-to-label.')

/** Messages of `from` that `when` lets through go, as `map` makes them, to `to`. */
export const CircuitEdge = z.strictObject({
  from: Topic.refine(topic => topicKind(topic) !== 'jobs', 'Jobs go to operators; begin with their results.'),
  to: Topic.refine(
    topic => ['jobs', 'events'].includes(topicKind(topic)),
    'Results, streams and system topics come from the server alone.',
  ),
  /** Of what is published; the message's own unless said. */
  schema: SchemaId.optional(),
  /** JSONata over the message's payload: only what it is true for goes on. */
  when: z.string().max(4_000).optional(),
  /** JSONata over the message's payload: the new payload. */
  map: z.string().max(4_000).optional(),
  /** Whether `to` may be a topic of jobs that no operator has ever taken. */
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
  summary: 'Declare a circuit, or change it; a new one is paused.',
  tag: 'operators',
  params,
  body: CircuitDocument,
  reply: CircuitView,
  errors: ['input.invalid', 'circuit.invalid'],
})

export const enableCircuit = route({
  method: 'POST',
  path: '/api/circuits/:name/enable',
  scope: 'admin',
  summary: 'Hand messages on: from now on, or from where it was paused.',
  tag: 'operators',
  params,
  reply: CircuitView,
  errors: [...errors, 'circuit.invalid'],
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
