import { OperatorId, hardwareProfiles } from '@slipway/protocol/bus/operators'
import { SchemaId, ShortText } from '@slipway/protocol/bus/envelope'
import { JobTopic } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import { OrganisationId } from '@slipway/protocol/scopes'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import { checkMapping } from '#features/mappings/mappings'
import { allowedPlaces, isNetwork, type AllowedPlaces } from './allowed-places.ts'

const maxFileLength = 1_000_000
const variable = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/
/** Set by the server; a service relies on them. */
const ownHeaders = new Set(['host', 'content-length', 'content-type', 'idempotency-key', 'transfer-encoding'])

const Url = z.string().refine(isPlainUrl, 'must be an http or https address without user name, password and fragment')
const Host = z
  .string()
  .regex(
    /^([A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?$/,
    'must be a host such as api.example.com or 10.0.0.7:8080',
  )
const ms = z.int().min(1)

const Auth = z.strictObject({
  header: z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, 'must be the name of a header')
    .default('authorization'),
  /** The variable that holds the secret; the secret itself never stands in the file. */
  variable: z.string().regex(variable, 'must be the name of an environment variable'),
  prefix: z.string().max(50).default('Bearer '),
})

const Health = z.strictObject({
  url: Url,
  every_ms: ms.min(100).max(3_600_000).default(10_000),
  timeout_ms: ms.max(60_000).default(5_000),
})

const ProxyEntry = z.strictObject({
  id: OperatorId,
  organisation: OrganisationId.default('default'),
  type: z.string().regex(/^[a-z][a-z0-9_-]{0,63}$/, 'must be lower-case letters, digits, _ and -'),
  version: ShortText.default('1'),
  topic: JobTopic,
  /** Only jobs with these; any where there are none. */
  schemas: z.array(SchemaId).max(50).default([]),
  result_schema: SchemaId,
  max_parallel_jobs: z.int().min(1).max(1_000).default(4),
  hardware_profile: z.enum(hardwareProfiles).default('cpu'),
  url: Url,
  method: z.enum(['POST', 'PUT', 'PATCH', 'GET']).default('POST'),
  /** JSONata: the request's body of the job's payload; the payload itself where there is none. */
  body: z.string().optional(),
  /** JSONata: an object of parameters for the address. */
  query: z.string().optional(),
  /** JSONata: the result of the service's answer; the answer itself where there is none. */
  result: z.string().optional(),
  headers: z
    .record(
      z.string().regex(/^[A-Za-z0-9-]{1,64}$/),
      z
        .string()
        .max(1_000)
        .regex(/^[\t\x20-\x7e]*$/),
    )
    .default({}),
  auth: Auth.optional(),
  timeout_ms: ms.max(3_000_000).default(10_000),
  max_response_bytes: z.int().min(1).max(1_048_576).default(1_048_576),
  health: Health.optional(),
  /** So many failures one after the other take the proxy out. */
  failures: z.int().min(1).max(1_000).default(3),
  /** After what time a proxy without a health check is tried again. */
  retry_after_ms: ms.min(100).max(3_600_000).default(10_000),
  /** The longest wait that the service may ask for with `Retry-After`. */
  longest_wait_ms: z.int().min(0).max(86_400_000).default(300_000),
})

const OperatorsFile = z.strictObject({
  allow: z
    .strictObject({
      hosts: z.array(Host).max(1_000).default([]),
      networks: z.array(z.string().refine(isNetwork, 'must be a network such as 10.1.0.0/16')).max(1_000).default([]),
    })
    .default({ hosts: [], networks: [] }),
  proxies: z.array(ProxyEntry).max(1_000).default([]),
})

type ProxyEntry = z.output<typeof ProxyEntry>

/** An HTTP service that the server calls for the jobs of a topic. */
export interface ProxyConfig extends ProxyEntry {
  /** As it stands in the file: what names the configuration. */
  readonly declared: unknown
}

export interface ProxiesConfig {
  readonly allowed: AllowedPlaces
  readonly proxies: readonly ProxyConfig[]
}

/** Reads `config/operators.yaml`. Throws `config.invalid` that names every problem. */
export function parseProxies(text: string, file: string): ProxiesConfig {
  const fail = (problems: readonly string[]): never => {
    throw new AppError('config.invalid', `${file} is not valid:\n${problems.map(line => `  ${line}`).join('\n')}`)
  }
  if (text.length > maxFileLength) fail([`It has more than ${maxFileLength} characters.`])
  const document = parseDocument(text)
  if (document.errors[0]) fail([document.errors[0].message])
  const parsed = OperatorsFile.safeParse(document.toJS({ maxAliasCount: 100 }) ?? {})
  if (!parsed.success)
    return fail(parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'The file'}: ${message}`))
  const allowed = allowedPlaces(parsed.data.allow)
  const problems: string[] = []
  const proxies = parsed.data.proxies.map(entry => proxyOf(entry, { allowed, problems }))
  const keys = proxies.map(({ organisation, id }) => `${organisation} ${id}`)
  for (const [index, key] of keys.entries())
    if (keys.indexOf(key) < index) problems.push(`proxies.${index}: the id ${proxies[index]?.id ?? ''} is taken`)
  if (problems.length > 0) fail(problems)
  return { allowed, proxies }
}

function proxyOf(
  entry: ProxyEntry,
  { allowed, problems }: { readonly allowed: AllowedPlaces; readonly problems: string[] },
): ProxyConfig {
  const wrong = (what: string): void => void problems.push(`${entry.id}: ${what}`)
  for (const url of [entry.url, entry.health?.url]) {
    if (url !== undefined && !allowed.isHost(new URL(url)))
      wrong(`${new URL(url).host} does not stand in allow.hosts, without which nothing is called`)
  }
  if (entry.method === 'GET' && entry.body !== undefined) wrong('a GET has no body; use query')
  for (const header of [...Object.keys(entry.headers), ...(entry.auth ? [entry.auth.header] : [])])
    if (ownHeaders.has(header.toLowerCase())) wrong(`the header ${header} is set by the server`)
  for (const name of ['body', 'query', 'result'] as const)
    try {
      if (entry[name] !== undefined) checkMapping(entry[name])
    } catch (error) {
      wrong(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  return { ...entry, declared: entry }
}

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, hash } = new URL(text)
  return /^https?:$/.test(protocol) && username === '' && password === '' && hash === ''
}
