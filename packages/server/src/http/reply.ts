import type { Readable } from 'node:stream'

/** One message of an event stream; `id` is what a client that reconnects sends back as `Last-Event-ID`. */
export interface StreamMessage {
  readonly id?: number | undefined
  readonly event?: string | undefined
  readonly data: unknown
}

export type Content =
  | { readonly type: 'json'; readonly value: unknown }
  | { readonly type: 'text'; readonly text: string; readonly mediaType: string }
  | { readonly type: 'file'; readonly stream: Readable; readonly name: string; readonly size: number | null }
  | { readonly type: 'events'; readonly messages: AsyncIterable<StreamMessage> }

export interface Extras {
  readonly status?: number | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
}

/** A reply that says more than its JSON. `T` is what the route promises. */
export class Reply<out T> {
  readonly content: Content
  readonly extras: Extras
  declare readonly promised?: T

  constructor(content: Content, extras: Extras = {}) {
    this.content = content
    this.extras = extras
  }
}

/** JSON with headers, or with another status than the route's own. */
export function withHeaders<T>(value: T, headers: Readonly<Record<string, string>>, status?: number): Reply<T> {
  return new Reply<T>({ type: 'json', value }, { headers, status })
}

/** JSON with another status than the route's own. */
export function withStatus<T>(value: T, status: number): Reply<T> {
  return new Reply<T>({ type: 'json', value }, { status })
}

/**
 * A page of a list. `next` is the `after` of the following page, null at the end; it travels in the `Link` header as
 * the request's own address with another `after`.
 */
export function page<T>(
  items: T,
  { url, next }: { readonly url: string; readonly next: string | number | null },
): Reply<T> {
  if (next === null) return withHeaders(items, {})
  const [path = '', query = ''] = url.split('?')
  const parameters = new URLSearchParams(query)
  parameters.set('after', String(next))
  return withHeaders(items, { link: `<${path}?${parameters.toString()}>; rel="next"` })
}

/**
 * A file as a download. It is never shown by the browser as part of this site, since plans and runs write what they
 * like into their files.
 */
export function fileReply(file: {
  readonly stream: Readable
  readonly name: string
  /** Bytes, where they are known beforehand. */
  readonly size?: number | undefined
}): Reply<never> {
  return new Reply<never>({ type: 'file', stream: file.stream, name: file.name, size: file.size ?? null })
}

/** A text that belongs to the server itself: a page, a script, a style. */
export function textReply(
  text: string,
  mediaType: string,
  headers: Readonly<Record<string, string>> = {},
): Reply<never> {
  return new Reply<never>({ type: 'text', text, mediaType }, { headers })
}

/** Server-Sent Events until the messages end or the client leaves. */
export function eventStream(messages: AsyncIterable<StreamMessage>): Reply<never> {
  return new Reply<never>({ type: 'events', messages })
}
