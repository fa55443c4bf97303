import { fromWireNumber, type ClientBody } from '@slipway/protocol/bus/frames'
import type { PublishJob } from '@slipway/protocol/bus/jobs'
import { Topic, topicKind } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import type { NewMessage } from '#features/spine/spine'

type Publish = Extract<ClientBody, { readonly case: 'publish' }>['value']

/** What a client wants to publish: which of the two, its topic says. */
export type Publication =
  | { readonly type: 'job'; readonly job: PublishJob }
  | { readonly type: 'event' | 'control'; readonly message: NewMessage }

/** Throws `input.invalid` for what is no topic, `frame.invalid` for numbers out of bounds; the rest the Spine checks. */
export function readPublication(publish: Publish): Publication {
  const { topic, schema, payload } = publish
  if (!Topic.safeParse(topic).success)
    throw new AppError('input.invalid', `${JSON.stringify(topic.slice(0, 200))} is no topic, such as genesis.jobs.`)
  const trace = Object.keys(publish.trace).length > 0 ? publish.trace : undefined
  const common = { topic, schema, payload, ...(trace && { trace }) }
  const kind = topicKind(topic)
  if (kind === 'jobs') return { type: 'job', job: { ...common, ...jobOptions(publish) } }
  if (publish.job !== undefined)
    throw new AppError('input.invalid', `${topic} takes no jobs. Those go to topics that end in .jobs.`)
  const type = kind === 'system' ? 'control' : 'event'
  return { type, message: { ...common, type } }
}

function jobOptions({ job }: Publish): Partial<PublishJob> {
  if (job === undefined) return {}
  const { idempotencyKey, priority, delayMs, orderingKey, deadlineMs, maxAttempts, backoff } = job
  return {
    ...(idempotencyKey !== undefined && { idempotencyKey }),
    ...(priority !== undefined && { priority }),
    ...(delayMs !== undefined && { delayMs: fromWireNumber(delayMs) }),
    ...(orderingKey !== undefined && { orderingKey }),
    ...(deadlineMs !== undefined && { deadlineMs: fromWireNumber(deadlineMs) }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(backoff !== undefined && {
      backoff: { firstMs: fromWireNumber(backoff.firstMs), ceilingMs: fromWireNumber(backoff.ceilingMs) },
    }),
  }
}
