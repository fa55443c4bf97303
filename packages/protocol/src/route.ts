import type { z } from 'zod'
import type { ErrorCode } from './errors.ts'
import type { Access } from './scopes.ts'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

/** What a reply carries besides JSON, or what a request is instead of JSON. */
export type Media = 'json' | 'multipart' | 'binary' | 'html' | 'event-stream' | 'none'

/** One HTTP route: the only place where its path and shapes are written down. */
export interface Route<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Reply extends z.ZodType = z.ZodType,
> {
  readonly method: Method
  /** With `:name` for a parameter and a closing `*` for the rest of the path. */
  readonly path: string
  /** Further paths that mean the same. */
  readonly aliases?: readonly string[]
  /** What a caller's token must allow. */
  readonly scope: Access
  readonly summary: string
  readonly tag:
    | 'plans'
    | 'runs'
    | 'checkpoints'
    | 'debugging'
    | 'jobs'
    | 'events'
    | 'models'
    | 'bus'
    | 'operators'
    | 'access'
    | 'system'
  readonly params?: Params
  readonly query?: Query
  readonly body?: Body
  readonly bodyMedia?: Media
  readonly reply: Reply
  readonly replyMedia?: Media
  readonly status?: number
  readonly errors: readonly ErrorCode[]
}

/** Keeps the schemas' types, so that handlers and clients are typed from the one declaration. */
export function route<
  Params extends z.ZodType = z.ZodUndefined,
  Query extends z.ZodType = z.ZodUndefined,
  Body extends z.ZodType = z.ZodUndefined,
  Reply extends z.ZodType = z.ZodUnknown,
>(declared: Route<Params, Query, Body, Reply>): Route<Params, Query, Body, Reply> {
  return declared
}

export type ParamsOf<R> = R extends Route<infer P, z.ZodType, z.ZodType, z.ZodType> ? z.output<P> : never
export type QueryOf<R> = R extends Route<z.ZodType, infer Q, z.ZodType, z.ZodType> ? z.output<Q> : never
export type BodyOf<R> = R extends Route<z.ZodType, z.ZodType, infer B, z.ZodType> ? z.output<B> : never
export type ReplyOf<R> = R extends Route<z.ZodType, z.ZodType, z.ZodType, infer A> ? z.output<A> : never
export type BodyInputOf<R> = R extends Route<z.ZodType, z.ZodType, infer B, z.ZodType> ? z.input<B> : never
export type QueryInputOf<R> = R extends Route<z.ZodType, infer Q, z.ZodType, z.ZodType> ? z.input<Q> : never
