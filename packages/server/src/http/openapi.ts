import { api } from '@slipway/protocol/api'
import { ErrorReply, errorCodes, type ErrorCode } from '@slipway/protocol/errors'
import { sockets } from '@slipway/protocol/events'
import type { Media, Route } from '@slipway/protocol/route'
import type { Access } from '@slipway/protocol/scopes'
import { z } from 'zod'

type Json = Readonly<Record<string, unknown>>

/** The contract as an OpenAPI 3.1 document. */
export function openApiDocument(version: string): Json {
  const paths: Record<string, Record<string, Json>> = {}
  for (const [name, declared] of Object.entries(api)) {
    const operation = operationOf(name, declared)
    for (const path of [declared.path, ...aliasesOf(declared)]) {
      const operationId = path === declared.path ? name : `${name}${path.replaceAll(/[^a-zA-Z]/g, '_')}`
      const known = (paths[openPath(path)] ??= {})
      known[declared.method.toLowerCase()] = { ...operation, operationId }
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Slipway',
      version,
      description:
        'Plans, runs and what happens in them. WebSockets, which OpenAPI does not describe: ' +
        `${Object.values(sockets)
          .map(socket => openPath(socket.path))
          .join(', ')}; \`?after=n\` continues behind a number.`,
    },
    servers: [{ url: '/' }],
    security: [{ bearer: [] }, {}],
    tags: [...new Set(Object.values(api).map(declared => declared.tag))].map(name => ({ name })),
    paths,
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: schemaOf(ErrorReply, 'output') },
    },
  }
}

function aliasesOf(declared: Route): readonly string[] {
  return declared.aliases ?? []
}

function openPath(path: string): string {
  return path.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}')
}

function operationOf(name: string, declared: Route): Json {
  return {
    operationId: name,
    summary: declared.summary,
    ...(isScope(declared.scope) ? { description: `Needs a token with the scope \`${declared.scope}\`.` } : {}),
    tags: [declared.tag],
    ...(declared.scope === 'public' ? { security: [] } : {}),
    parameters: [...parametersOf(declared.params, 'path'), ...parametersOf(declared.query, 'query')],
    ...requestBodyOf(declared),
    responses: { [String(declared.status ?? 200)]: replyOf(declared), ...errorsOf(declared) },
  }
}

function parametersOf(schema: z.ZodType | undefined, place: 'path' | 'query'): Json[] {
  if (!schema) return []
  const { properties = {}, required = [] } = schemaOf(schema, 'input') as {
    readonly properties?: Json
    readonly required?: readonly string[]
  }
  return Object.entries(properties).map(([name, inner]) => ({
    name: name === '*' ? 'path' : name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: inner,
  }))
}

function requestBodyOf(declared: Route): Json {
  if (declared.bodyMedia === 'multipart') {
    const file = { type: 'string', contentMediaType: 'application/zip' }
    const form = { type: 'object', properties: { plan: file }, required: ['plan'] }
    return {
      requestBody: {
        required: true,
        content: { 'multipart/form-data': { schema: form }, 'application/zip': { schema: file } },
      },
    }
  }
  if (!declared.body) return {}
  const required = !declared.body.safeParse(undefined).success
  return { requestBody: { required, content: { 'application/json': { schema: schemaOf(declared.body, 'input') } } } }
}

const mediaTypes: Readonly<Record<Media, string>> = {
  json: 'application/json',
  multipart: 'multipart/form-data',
  binary: 'application/octet-stream',
  html: 'text/html',
  'event-stream': 'text/event-stream',
  none: 'application/json',
}

function replyOf(declared: Route): Json {
  const mediaType = mediaTypes[declared.replyMedia ?? 'json']
  return { description: 'Done.', content: { [mediaType]: { schema: schemaOf(declared.reply, 'output') } } }
}

function errorsOf(declared: Route): Json {
  const always: readonly ErrorCode[] = alwaysOf(declared)
  const byStatus = Map.groupBy([...declared.errors, ...always], code => errorCodes[code].status)
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      String(status),
      {
        description: [...new Set(codes)].join(', '),
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    ]),
  )
}

function alwaysOf({ scope }: Route): readonly ErrorCode[] {
  if (scope === 'public') return []
  return ['auth.required', ...(isScope(scope) ? (['auth.forbidden'] as const) : []), 'rate.limited']
}

function isScope(scope: Access): boolean {
  return scope !== 'any' && scope !== 'public'
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _dialect, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any', target: 'draft-2020-12' })
  return json
}
