import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import type { BodyOf, ParamsOf, QueryOf, ReplyOf, Route } from '@slipway/protocol/route'
import type { Identity } from './authenticate.ts'
import type { Reply } from './reply.ts'

/** What a handler gets: the route's own shapes, checked. */
export interface RequestOf<R extends Route> {
  readonly params: ParamsOf<R>
  readonly query: QueryOf<R>
  readonly body: BodyOf<R>
  /**
   * The JSON body as it was written, empty when there is none: for readers that keep `1.0`, integers of any length and
   * the order of keys, which `body` does not.
   */
  readonly bodyText: string
  readonly headers: IncomingHttpHeaders
  /** Who calls; `nobody` on public routes. */
  readonly identity: Identity
  /** Path and query as they came, for links to further pages. */
  readonly url: string
  readonly requestId: string
  /** Aborts when the client goes away before it has its reply. */
  readonly signal: AbortSignal
  /** The request itself. Its body is still unread on routes whose `bodyMedia` is `multipart` or `binary`. */
  readonly request: IncomingMessage
}

/** A route and the function that answers it. */
export interface Handler {
  readonly route: Route
  readonly answer: (request: RequestOf<Route>) => Promise<unknown>
}

/** Ties a function to a route of the contract; both are typed by it. A bare value is sent as JSON. */
export function handle<R extends Route>(
  route: R,
  answer: (request: RequestOf<R>) => Promise<ReplyOf<R> | Reply<ReplyOf<R>>> | ReplyOf<R> | Reply<ReplyOf<R>>,
): Handler {
  // The listener hands over exactly what the route's schemas made of the request.
  return { route, answer: async request => answer(request) }
}
