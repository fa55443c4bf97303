import { fromWireNumber, type ServerBodyInit } from '@slipway/protocol/bus/frames'
import type { HeldRef } from '#features/operators/operators'
import type { LeasedJob } from '#features/spine/spine'

type JobFrame = Extract<ServerBodyInit, { readonly case: 'job' }>

/** Of the operators of the server itself those that want to be held to it say whose job it is. */
export interface Held extends HeldRef {
  readonly organisation?: string
}

export function heldOf({
  jobId,
  fence,
  organisation,
}: {
  readonly jobId: string
  readonly fence: bigint
  readonly organisation: string
}): Held {
  return { jobId, fence: fromWireNumber(fence), ...(organisation !== '' && { organisation }) }
}

export function jobFrame(job: LeasedJob): JobFrame {
  const { id, organisation, topic, schema, payload, attempt, maxAttempts, priority, orderingKey, deadlineAt } = job
  return {
    case: 'job',
    value: {
      id,
      fence: BigInt(job.fence),
      organisation,
      topic,
      schema,
      payload,
      attempt,
      maxAttempts,
      leasedUntil: BigInt(Math.round(job.leasedUntil)),
      priority,
      orderingKey: orderingKey ?? '',
      trace: job.trace ?? {},
      streamN: BigInt(job.streamN),
      ...(deadlineAt !== null && { deadlineAt: BigInt(Math.round(deadlineAt)) }),
    },
  }
}
