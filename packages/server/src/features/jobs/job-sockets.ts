import type { ErrorCode } from '@slipway/protocol/errors'
import { sockets } from '@slipway/protocol/events'
import { JobRef, StreamPosition, type StreamFrame } from '@slipway/protocol/jobs'
import { z } from 'zod'
import { socketRoute, type ClosingReason, type SocketRoute } from '#http/sockets'
import type { Jobs } from './jobs.ts'

export function jobSockets(jobs: Jobs): SocketRoute[] {
  return [
    socketRoute({
      ...sockets.job,
      params: z.object({ id: JobRef }),
      query: z.object({ after: StreamPosition.optional() }),
      open: async (socket, { params, query, identity, signal }) => {
        const job = { by: identity, jobId: params.id }
        const frames = await jobs.follow(job, { after: query.after ?? '0', signal })
        if (frames === null) return 'unknown_job'
        try {
          for (;;) {
            const { done, value } = await frames.next()
            if (done === true) return value
            await socket.send(value)
          }
        } finally {
          await frames.return('finished')
        }
      },
      closing: reason => closingFrame(reason),
    }),
  ]
}

const closings: Readonly<Record<Exclude<ClosingReason, 'finished'>, { code: ErrorCode; message: string }>> = {
  slow_reader: {
    code: 'reader.slow',
    message: 'The reader did not keep up. Connect again with the `n` of the last frame as `after`.',
  },
  server_stopping: {
    code: 'server.stopping',
    message: 'The server is stopping. Connect again with the `n` of the last frame as `after`.',
  },
  unauthorized: { code: 'auth.required', message: 'The token holds no longer.' },
  unknown_job: { code: 'job.unknown', message: 'There is no such job, or it is no longer kept.' },
  unknown_run: { code: 'job.unknown', message: 'There is no such job, or it is no longer kept.' },
}

/** Where the job has ended its own last frame has said so. */
function closingFrame(reason: ClosingReason): StreamFrame | null {
  if (reason === 'finished') return null
  return { type: 'error', ts: new Date().toISOString(), payload: { ended: false, ...closings[reason] } }
}
