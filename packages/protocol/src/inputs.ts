import { z } from 'zod'
import { PlanId } from './plans.ts'
import { route } from './route.ts'
import { RunId } from './runs.ts'

/** A question that a run has put to a person. */
export const PendingInput = z.object({
  input_id: z.string(),
  run_id: RunId,
  plan_id: PlanId,
  flow_index: z.string(),
  /** `repeat_call` asks whether a call that must not be made twice is to be made again after a crash. */
  type: z.enum(['simple_text', 'text_editor', 'confirm', 'multi_file_input', 'chat', 'repeat_call']),
  prompt: z.string(),
  initial_text: z.string().nullable(),
  asked_at: z.string(),
  /** When the question closes by itself and its step fails; null when it stays open. */
  expires_at: z.string().nullable(),
})
export type PendingInput = z.infer<typeof PendingInput>

const inputParams = z.object({ id: z.string() })

export const listInputs = route({
  method: 'GET',
  path: '/api/inputs',
  scope: 'read:jobs',
  summary: 'Questions that wait for a person, oldest first. A further page is named in the `Link` header.',
  tag: 'runs',
  query: z.object({
    run_id: RunId.optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(200),
    after: z.string().optional(),
  }),
  reply: z.array(PendingInput),
  errors: ['input.invalid'],
})

export const getInput = route({
  method: 'GET',
  path: '/api/inputs/:id',
  scope: 'read:jobs',
  summary: 'One question that waits for a person.',
  tag: 'runs',
  params: inputParams,
  reply: PendingInput,
  errors: ['question.unknown'],
})

export const answerInput = route({
  method: 'POST',
  path: '/api/inputs/:id/submit',
  scope: 'write:jobs',
  summary: 'Answer a question: text, `true`/`false` for a confirmation or a repetition, or a list of paths.',
  tag: 'runs',
  params: inputParams,
  body: z.object({ answer: z.union([z.string(), z.boolean(), z.array(z.string())]) }),
  reply: z.object({ status: z.literal('answered'), input_id: z.string() }),
  errors: ['question.unknown', 'input.invalid'],
})

export const uploadInput = route({
  method: 'POST',
  path: '/api/inputs/:id/upload',
  scope: 'write:jobs',
  summary: 'Answer a question for files with the files themselves, as multipart with any number of fields `file`.',
  tag: 'runs',
  params: inputParams,
  bodyMedia: 'multipart',
  reply: z.object({ status: z.literal('answered'), input_id: z.string(), paths: z.array(z.string()) }),
  errors: ['question.unknown', 'input.invalid', 'body.too_large', 'body.unsupported'],
})

export const cancelInput = route({
  method: 'POST',
  path: '/api/inputs/:id/cancel',
  scope: 'write:jobs',
  summary: 'Refuse to answer: the step that asks fails with `input.cancelled`.',
  tag: 'runs',
  params: inputParams,
  body: z.object({ reason: z.string().max(500).optional() }).optional(),
  reply: z.object({ status: z.literal('cancelled'), input_id: z.string() }),
  errors: ['question.unknown'],
})
