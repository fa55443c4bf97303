import { z } from 'zod'
import { SchemaId, ShortText } from './envelope.ts'
import { JobTopic } from './topics.ts'

export const OperatorId = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'An operator id is letters, digits, ., _ and -, such as genesis-1.')

/** What operators run on. */
export const hardwareProfiles = ['cpu', 'gpu', 'fpga', 'asic'] as const

/** What an operator says of itself when it connects. */
export const Registration = z.object({
  operatorId: OperatorId,
  /** What kind of work it does, such as `genesis` or `nvm`. */
  operatorType: z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/, 'A type is lower-case letters, digits, _ and -.'),
  version: ShortText.default('0'),
  /** Where its jobs come from. */
  topics: z.array(JobTopic).min(1).max(50),
  /** It is handed jobs with these schemas alone; none for jobs of any. Those of its results stand here too. */
  supportedSchemas: z.array(SchemaId).max(100).default([]),
  /** Never more jobs at a time, however often it connects. */
  maxParallelJobs: z.number().int().min(1).max(1_000).default(1),
  hardwareProfile: z.enum(hardwareProfiles).default('cpu'),
})
export type Registration = z.input<typeof Registration>
export type CheckedRegistration = z.output<typeof Registration>

/** What is published on `system.control.operators`: JSON. */
export const operatorEventSchema = 'arqonbus.operator.event.v1'

/** A change of an operator, as the control message of it has it; kept as well. */
export const operatorEvents = [
  'registered',
  'disconnected',
  'lost',
  'failing',
  'healthy',
  'draining',
  'quarantined',
  'released',
  'changed',
  'checked',
  'promoted',
  'demoted',
] as const
export const OperatorEvent = z.object({
  event: z.enum(operatorEvents),
  operator_id: OperatorId,
  at: z.string(),
  /** The subject of whoever did it; `server` for what the server did by itself. */
  by: z.string(),
  reason: z.string().nullable(),
})
export type OperatorEvent = z.infer<typeof OperatorEvent>
