import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import { eventNames } from '@slipway/protocol/events'
import { Digest, PlanId } from '@slipway/protocol/plans'
import { Held, RunError, RunId, StepStatus } from '@slipway/protocol/runs'
import { z } from 'zod'
import { usualLimits, type ArchiveLimits } from '#features/plans/plans'
import { workspaceName } from './compacted-folder.ts'

/**
 * An exported run is one zip:
 *
 *     run.json       the run, what it began with and its result
 *     package/…      the plan package
 *     values.jsonl   values by content, for all the lines below
 *     calls.jsonl    answered calls, and commands.jsonl what people asked: the journal, which makes everything again
 *     steps.jsonl    the records
 *     inputs.jsonl   questions to people
 *     events.jsonl   what was told
 *     files/…        `workspace/` as far as it differs from the package, and `uploads/`
 */
export const runFile = 'run.json'
export const packagePrefix = 'package/'
export const workspacePrefix = `files/${workspaceName}/`
export const uploadsPrefix = 'files/uploads/'

/**
 * What an archive may be at most. Journals repeat themselves, so that they pack as well as zip can; what all of it may
 * have together bounds what is unpacked.
 */
export const archiveLimits: ArchiveLimits = {
  ...usualLimits,
  totalBytes: 1024 ** 3,
  fileBytes: 1024 ** 3,
  entries: 100_000,
  ratio: 1100,
  depth: 40,
  pathBytes: 4096,
}

const count = z.number().int().min(0)
const time = z.number().min(0).max(8.64e15)
const wholeTime = time.int()

export const ArchivedRun = z.strictObject({
  format: z.literal('slipway-run'),
  version: z.literal(1),
  run: z.strictObject({
    id: RunId,
    seed: z.string().min(1).max(200),
    plan_id: PlanId,
    plan_version: z.string().max(1000),
    plan_digest: Digest,
    status: z.enum(['paused', 'waiting', 'completed', 'failed']),
    mode: z.enum(['parallel', 'sequential']),
    agent: z.string().max(1000),
    max_cycles: count,
    created_at: wholeTime,
    started_at: wholeTime.nullable(),
    completed_at: wholeTime.nullable(),
    seq: count,
    entries: count,
    records: count,
    emitted: count,
    starts: count,
    error: RunError.nullable(),
    held: Held.nullable(),
    breakpoints: z.array(z.string()),
    forked_from: RunId.nullable(),
    forked_at: count.nullable(),
    step_timeout_ms: count.nullable(),
    input_timeout_ms: count.nullable(),
  }),
  /** The dialect in which the package is read. */
  dialect: z.enum(['2026-01', '2026-01-strict', '2026-03']),
  inputs: z.string(),
  /** The state that a fork began with. */
  origin: z.string().nullable(),
  node_statuses: z.record(z.string(), StepStatus),
  /** The final concepts of a run that is over, JSON text. */
  result: z.string().nullable(),
  /** Files of the package that the run has removed; null when it never had a copy of it. */
  removed_files: z.array(z.string()).nullable(),
  /** What of the run's files is not in the archive: links, and names that not every machine can have. */
  left_out: z.array(z.string()),
})
export type ArchivedRun = z.infer<typeof ArchivedRun>

export const ArchivedValue = z.strictObject({ hash: z.string().regex(/^[A-Za-z0-9_-]{43}$/), data: z.string() })

export const ArchivedCall = z.strictObject({
  n: count.min(1),
  key: z.string(),
  flow_index: z.string(),
  concept_name: z.string(),
  type: z.string(),
  inputs: z.string(),
  outcome: z.string(),
  files: z.array(z.string()),
  started_at: time,
  finished_at: time,
  agent: z.string().nullable(),
  provider: z.string().nullable(),
  model: z.string().nullable(),
  input_tokens: count.nullable(),
  output_tokens: count.nullable(),
  attempts: count,
  repeated: z.boolean(),
})
export type ArchivedCall = z.infer<typeof ArchivedCall>

export const ArchivedCommand = z.strictObject({
  id: z.string().min(1).max(200),
  n: count.min(1).nullable(),
  starts: count.nullable(),
  type: z.string().max(200),
  command: z.string(),
  by: z.string().max(1000),
  asked_at: wholeTime,
  applied_at: wholeTime.nullable(),
  refusal: z.string().nullable(),
})
export type ArchivedCommand = z.infer<typeof ArchivedCommand>

export const ArchivedStep = z.strictObject({
  n: count.min(1),
  at: time,
  kind: z.enum(['step', 'command']),
  cycle: count,
  flow_index: z.string().nullable(),
  record: z.string(),
})
export type ArchivedStep = z.infer<typeof ArchivedStep>

export const ArchivedInput = z.strictObject({
  id: z.string().min(1).max(200),
  key: z.string(),
  flow_index: z.string(),
  type: z.enum(['simple_text', 'text_editor', 'confirm', 'multi_file_input', 'chat', 'repeat_call']),
  prompt: z.string(),
  initial_text: z.string().nullable(),
  asked_at: wholeTime,
  answer: z.string().refine(isAnswer, 'This is no answer.').nullable(),
  closed: z.enum(['cancelled', 'expired']).nullable(),
})
export type ArchivedInput = z.infer<typeof ArchivedInput>

export const ArchivedEvent = z.strictObject({
  seq: count.min(1),
  event: z.enum(eventNames),
  ts: time,
  data: z.record(z.string(), z.unknown()),
})
export type ArchivedEvent = z.infer<typeof ArchivedEvent>

const Answer = z.union([z.string(), z.boolean(), z.array(z.string())])

function isAnswer(text: string): boolean {
  try {
    return Answer.safeParse(parseJson(text)).success
  } catch {
    return false
  }
}

/** The parts of an archive that have a line for each row. */
export const lists = {
  values: { file: 'values.jsonl', line: ArchivedValue },
  calls: { file: 'calls.jsonl', line: ArchivedCall },
  commands: { file: 'commands.jsonl', line: ArchivedCommand },
  steps: { file: 'steps.jsonl', line: ArchivedStep },
  inputs: { file: 'inputs.jsonl', line: ArchivedInput },
  events: { file: 'events.jsonl', line: ArchivedEvent },
} as const

/** What is in no archive of a run, or contradicts itself. */
export function notARun(why: string, cause?: unknown): AppError {
  const reason = why.replace(/\.$/, '').slice(0, 1000)
  return new AppError('archive.invalid', `This is not the archive of a run as it was exported: ${reason}.`, { cause })
}
