import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import { sockets } from '@slipway/protocol/events'
import { StreamError, StreamFrame } from '@slipway/protocol/jobs'
import type { Client } from './client.ts'
import { resumed, type ClosingReason, type Frame, type Reconnecting, type ResumeOptions } from './resumable.ts'

export interface FollowJobOptions extends ResumeOptions {
  /** `n` of the last frame that the reader has; from the beginning of what is kept unless given. */
  readonly after?: string | undefined
  /** Told when the connection is lost and tried again. */
  readonly onReconnecting?: ((state: Reconnecting) => void) | undefined
}

/**
 * What happens to a job: its status, log, pieces of its stream, and as the last frame its `result` or `error`. Frames with
 * a number come once, through lost connections and restarts of the server; the status comes again with each connection.
 * Rejects with `job.unknown`, `auth.required` and whatever else no further attempt can mend; with the signal's reason when
 * that aborts.
 */
export async function* followJob(
  client: Client,
  jobId: string,
  { onReconnecting, ...options }: FollowJobOptions = {},
): AsyncGenerator<StreamFrame> {
  const frames = resumed<StreamFrame, string>(client, {
    ...options,
    path: sockets.job.path.replace(':id', encodeURIComponent(jobId)),
    after: options.after,
    readFrame,
    isOld: () => false,
    probe: signal => client.jobs.get(jobId, { signal }),
    unknown: () => new AppError('job.unknown', 'The server has no such job.'),
    onConnection: state => {
      if (state.type === 'reconnecting') onReconnecting?.(state)
    },
  })
  for await (const frame of frames) {
    yield frame
    if (frame.type === 'result' || frame.type === 'error') return
  }
}

const closings: Readonly<Record<string, ClosingReason>> = {
  'reader.slow': 'slow_reader',
  'server.stopping': 'server_stopping',
  'auth.required': 'unauthorized',
  'job.unknown': 'unknown_job',
}

function readFrame(text: string): Frame<StreamFrame, string> {
  let json: unknown
  try {
    json = parseJson(text)
  } catch {
    return { type: 'unreadable' }
  }
  const { data: frame } = StreamFrame.safeParse(json)
  if (frame === undefined || frame.type === 'heartbeat') return { type: 'unreadable' }
  const error = frame.type === 'error' ? StreamError.safeParse(frame.payload).data : undefined
  if (error?.ended === false) return { type: 'closing', reason: closings[error.code] ?? 'server_stopping' }
  return { type: 'item', item: frame, place: frame.n }
}
