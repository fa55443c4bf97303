import { api } from '@slipway/protocol/api'
import type { ReplyOf } from '@slipway/protocol/route'
import type { Health } from '@slipway/protocol/system'
import { accessMethods, type AccessMethods } from './access.ts'
import { archiveMethods, type ArchiveMethods } from './archives.ts'
import { inputMethods, type InputMethods } from './inputs.ts'
import { inspectionMethods, type InspectionMethods } from './inspection.ts'
import { queueMethods, type QueueMethods } from './jobs.ts'
import { planMethods, type PlanMethods } from './plans.ts'
import { runMethods, type RunMethods } from './runs.ts'
import { steeringMethods, type SteeringMethods } from './steering.ts'
import {
  createTransport,
  type AnyRoute,
  type CallInput,
  type ClientOptions,
  type Transport,
  type Waiting,
} from './transport.ts'

/**
 * One server, as other programs see it. Every method rejects with an `AppError`: the server's own code and details, or
 * `server.unreachable` when no answer came in time. An aborted signal rejects with its own reason.
 */
export interface Client
  extends
    PlanMethods,
    RunMethods,
    InputMethods,
    SteeringMethods,
    InspectionMethods,
    ArchiveMethods,
    AccessMethods,
    QueueMethods {
  /** Address of the server without a closing slash. */
  readonly url: string
  readonly token: string | undefined
  /** Any route of the protocol, for what has no method of its own. */
  call<R extends AnyRoute>(route: R, input?: CallInput<R> & Waiting): Promise<ReplyOf<R>>
  /** Any list, page by page. */
  readonly page: Transport['page']
  health(options?: Waiting): Promise<Health>
  models(options?: Waiting): Promise<ReplyOf<typeof api.listModels>>
}

export function createClient(options: ClientOptions): Client {
  const transport = createTransport(options)
  return {
    url: transport.url,
    token: options.token,
    call: transport.call,
    page: transport.page,
    ...planMethods(transport),
    ...runMethods(transport),
    ...inputMethods(transport),
    ...steeringMethods(transport),
    ...inspectionMethods(transport),
    ...archiveMethods(transport),
    ...accessMethods(transport),
    ...queueMethods(transport),
    health: wait => transport.call(api.healthz, { ...wait }),
    models: wait => transport.call(api.listModels, { ...wait }),
  }
}
