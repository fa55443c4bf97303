import { discardDeadLetter, getDeadLetter, listDeadLetters, redriveDeadLetter } from '@slipway/protocol/jobs'
import {
  deleteSchedule,
  getSchema,
  listQueues,
  listSchedules,
  listSchemas,
  putSchedule,
  registerSchema,
} from '@slipway/protocol/queues'
import { handle, type Handler } from '#http/handler'
import { page } from '#http/reply'
import { refOf } from './job-routes.ts'
import type { Jobs } from './jobs.ts'

export function queueRoutes({ queues }: Jobs): Handler[] {
  return [
    handle(listDeadLetters, async ({ identity, query, url }) => {
      const { jobs, next } = await queues.deadLetters(identity.organisation, query)
      return page(jobs, { url, next })
    }),
    handle(getDeadLetter, request => queues.deadLetter(refOf(request))),
    handle(redriveDeadLetter, request => queues.redrive(refOf(request))),
    handle(discardDeadLetter, request => queues.discard(refOf(request))),
    handle(listSchedules, ({ identity }) => queues.schedules(identity.organisation)),
    handle(putSchedule, ({ identity, params: { name }, body, bodyText }) =>
      queues.putSchedule({ by: identity, name }, body, bodyText),
    ),
    handle(deleteSchedule, async ({ identity, params }) => {
      await queues.deleteSchedule(identity.organisation, params.name)
      return params
    }),
    handle(listSchemas, ({ identity }) => queues.schemas(identity.organisation)),
    handle(getSchema, ({ identity, params }) => queues.schema(identity.organisation, params.id)),
    handle(registerSchema, async ({ identity, params: { id }, body: { schema } }) => {
      await queues.register(identity.organisation, { id, schema })
      return { id, schema }
    }),
    handle(listQueues, ({ identity }) => queues.depths(identity.organisation)),
  ]
}
