import type { Route } from '@slipway/protocol/route'
import { z } from 'zod'

/** What a part of a request names. */
export type Kind =
  | 'plan'
  | 'run'
  | 'question'
  | 'token'
  | 'organisation'
  | 'job'
  | 'dead letter'
  | 'schedule'
  | 'schema'
  | 'operator'
  | 'circuit'
  | 'policy'
  | 'version'
  | 'step'
  | 'concept'
  | 'plan file'
  | 'run file'

export type Things = Readonly<Record<Kind, string>>

/** Kinds that are something somebody owns. */
export const owned: ReadonlySet<Kind> = new Set([
  'plan',
  'run',
  'question',
  'token',
  'organisation',
  'job',
  'dead letter',
  'schedule',
  'schema',
  'operator',
  'circuit',
  'policy',
])

export interface SampleRequest {
  readonly method: string
  readonly path: string
  readonly body: string | FormData | undefined
  /** What of somebody's it names. */
  readonly names: ReadonlySet<Kind>
}

/** By the part of the path in front of a parameter and its name, or by its name alone. */
const pathKinds: Readonly<Record<string, Kind>> = {
  'plans/:id': 'plan',
  'runs/:id': 'run',
  'runs/:a': 'run',
  'diff/:b': 'run',
  'checkpoints/:run_id': 'run',
  'inputs/:id': 'question',
  'tokens/:id': 'token',
  'jobs/:id': 'job',
  'stream/:id': 'job',
  'dead-letters/:id': 'dead letter',
  'schedules/:name': 'schedule',
  'schemas/:id': 'schema',
  'operators/:id': 'operator',
  'circuits/:name': 'circuit',
  'policies/:name': 'policy',
  'versions/:version': 'version',
  ':flow_index': 'step',
  ':concept': 'concept',
  'plans/*': 'plan file',
  'runs/*': 'run file',
}

const fieldKinds: Readonly<Record<string, Kind>> = {
  plan_id: 'plan',
  run_id: 'run',
  organisation: 'organisation',
  version: 'version',
  flow_index: 'step',
}

/** Fields in which a caller chooses the name of something new. */
const newNames: Readonly<Record<string, readonly string[]>> = {
  startRun: ['run_id'],
  forkCheckpoint: ['run_id'],
  importRun: ['run_id'],
}

/** Routes whose path has the name of something new. */
const newThings: Readonly<Record<string, Partial<Record<Kind, string>>>> = {
  putSchedule: { schedule: 'new-schedule' },
  registerSchema: { schema: 'arqonbus.new.thing.v1' },
  putCircuit: { circuit: 'new-circuit' },
  putPolicy: { policy: 'new-policy' },
}

/** Bodies that are looked at before it is asked whose the thing is. */
const bodies: Readonly<Record<string, object>> = {
  rollbackCircuit: { version: 1 },
  checkOperator: { topic: 'things.jobs', schema: 'arqonbus.new.thing.v1', samples: [{}] },
}

const formFields: Readonly<Record<string, string>> = { deployPlan: 'plan', importRun: 'run', uploadInput: 'file' }

/**
 * A request for a route in which every part that may name something names one of `things`. Throws for a part of which
 * this does not know what it names: then it is to be added here.
 */
export function sampleRequest(name: string, route: Route, things: Things, path = route.path): SampleRequest {
  const names = new Set<Kind>()
  const thing = (kind: Kind | undefined, what: string): string => {
    if (kind === undefined) throw new Error(`${name}: nothing says what ${what} names.`)
    const fresh = newThings[name]?.[kind]
    if (fresh !== undefined) return fresh
    if (owned.has(kind)) names.add(kind)
    return things[kind]
  }
  const fields = (schema: z.ZodType | undefined): Readonly<Record<string, unknown>> =>
    schema === undefined ? {} : objectOf(jsonSchema(schema), { leaveOut: newNames[name] ?? [], thing })
  const query = new URLSearchParams(Object.entries(fields(route.query)).map(([key, value]) => [key, String(value)]))
  const filled = filledPath(path, thing)
  const body = isForm(route) ? formOf(name) : route.body && JSON.stringify(bodies[name] ?? fields(route.body))
  return { method: route.method, path: query.size === 0 ? filled : `${filled}?${query.toString()}`, body, names }
}

type ThingOf = (kind: Kind | undefined, what: string) => string

/** The path of a route or a socket, with things in the place of its parameters. */
export function filledPath(path: string, thing: ThingOf): string {
  const parts = path.split('/')
  const before = (at: number): string => parts.slice(0, at).findLast(part => !part.startsWith(':')) ?? ''
  return parts
    .map((part, at) => {
      if (part === '*') return thing(pathKinds[`${parts[2]}/*`], path)
      if (!part.startsWith(':')) return part
      return encodeURIComponent(thing(pathKinds[`${before(at)}/${part}`] ?? pathKinds[part], `${part} in ${path}`))
    })
    .join('/')
}

function isForm({ bodyMedia }: Route): boolean {
  return bodyMedia === 'multipart' || bodyMedia === 'binary'
}

function formOf(name: string): FormData {
  const field = formFields[name]
  if (field === undefined) throw new Error(`${name}: nothing says which field of a form it takes.`)
  const form = new FormData()
  form.append(field, new Blob(['nothing of use']), 'file')
  return form
}

interface JsonSchema {
  readonly type?: string | readonly string[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly items?: JsonSchema
  readonly anyOf?: readonly JsonSchema[]
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly minimum?: number
}

function jsonSchema(schema: z.ZodType): JsonSchema {
  return z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as JsonSchema
}

/** What is required, numbers, which ask for more than their defaults do, and everything that names something. */
function objectOf(
  schema: JsonSchema,
  { leaveOut, thing }: { readonly leaveOut: readonly string[]; readonly thing: ThingOf },
): Readonly<Record<string, unknown>> {
  const { properties = {}, required = [] } = schema.anyOf?.[0] ?? schema
  return Object.fromEntries(
    Object.entries(properties).flatMap(([name, inner]) => {
      if (leaveOut.includes(name)) return []
      const namesSomething = name in fieldKinds || /(?:^|_)ids?$/.test(name)
      if (namesSomething) return [[name, thing(fieldKinds[name], `the field ${name}`)]]
      return required.includes(name) || isNumber(inner) ? [[name, valueOf(inner)]] : []
    }),
  )
}

function isNumber({ type, anyOf = [] }: JsonSchema): boolean {
  return type === 'number' || type === 'integer' || anyOf.some(isNumber)
}

function valueOf(schema: JsonSchema): unknown {
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return schema.enum[0]
  return schema.anyOf?.[0] ? valueOf(schema.anyOf[0]) : valueOfType(schema)
}

function valueOfType(schema: JsonSchema): unknown {
  const type = typeof schema.type === 'string' ? schema.type : schema.type?.[0]
  switch (type) {
    case 'object':
      return Object.fromEntries((schema.required ?? []).map(name => [name, valueOf(schema.properties?.[name] ?? {})]))
    case 'array':
      return [valueOf(schema.items ?? {})]
    case 'number':
    case 'integer':
      return schema.minimum ?? 1
    case 'boolean':
      return true
    case 'null':
      return null
    default:
      return 'words'
  }
}
