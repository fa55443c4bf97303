import { parseJson } from '@slipway/kit/json'
import { OperatorId, Registration } from '@slipway/protocol/bus/operators'
import { AppError } from '@slipway/protocol/errors'
import type { CheckOperator, Evidence, OperatorDetail, OperatorStage, OperatorView } from '@slipway/protocol/operators'
import type { Database } from '#db/database'
import type { Mappings } from '#features/mappings/mappings'
import type { Spine } from '#features/spine/spine'
import { checkScope, type Identity } from '#http/authenticate'
import type { Logger } from '#observe/log'
import { operatorFailed } from '#observe/operators-log'
import { checkOperator } from './operator-checks.ts'
import { configDigest } from './operator-digest.ts'
import { GuardedHttp } from './adapters/guarded-http.ts'
import { OperatorRegistry, operatorsChannel, type Entrance } from './operator-registry.ts'
import { newSessionId, Session, type OperatorLink, type OperatorSession } from './operator-session.ts'
import {
  findCounted,
  selectEvents,
  selectEvidence,
  selectOperators,
  selectSilent,
  selectTakers,
  type EvidenceRow,
  type OperatorKey,
} from './operator-store.ts'
import type { ProxiesConfig, ProxyConfig } from './proxy-file.ts'
import { ProxyOperator } from './proxy-operator.ts'
import { evidenceView, eventView, operatorView } from './operator-view.ts'

export { parseProxies, type ProxiesConfig } from './proxy-file.ts'
export type { HeldRef, LinkEnd, OperatorLink, OperatorSession } from './operator-session.ts'

export interface OperatorsDeps {
  readonly db: Database
  readonly spine: Spine
  /** Of proxies. */
  readonly mappings: Mappings
  readonly log: Logger
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** How long a job stays an operator's without a heartbeat. */
  readonly leaseMs: number
  /** After what time an operator that is not heard of is lost. */
  readonly staleMs: number
  /** So many failures one after the other bring an operator into quarantine; 0 for never. */
  readonly quarantineAfterFaults: number
  /** How many operators an organisation may have, those that are not connected included. */
  readonly mostOperators: number
  /** Operators of a lower stage get no jobs. */
  readonly leastStage: OperatorStage
  readonly proxies: ProxiesConfig
  /** Reads a variable of the environment: secrets of services. */
  readonly env: (name: string) => string | undefined
}

export interface OperatorFilter {
  readonly topic?: string | undefined
  readonly status?: OperatorView['status'] | undefined
  /** Behind this id. */
  readonly after?: string | undefined
  readonly limit?: number | undefined
}

export interface OperatorPage {
  readonly operators: OperatorView[]
  /** `after` of the next page; null at the end. */
  readonly next: string | null
}

/** What an operator takes; `schemas` is empty for any. */
export interface Taker {
  readonly topics: readonly string[]
  readonly schemas: readonly string[]
}

const shownEvents = 100
const silentAtOnce = 200
const rowsAtOnce = 500
/** What a proxy's lease lasts longer than its call, so that it needs no heartbeats. */
const proxyMarginMs = 30_000

/** Programs that do jobs: who they are, how they fare, and their connections to this server. */
export class Operators implements AsyncDisposable {
  readonly #deps: OperatorsDeps
  readonly #registry: OperatorRegistry
  readonly #sessions = new Set<Session>()
  readonly #working = new Set<Promise<void>>()
  readonly #open = new DisposableStack()
  readonly #proxies: ProxyOperator[] = []
  #isOver = false

  constructor(deps: OperatorsDeps) {
    this.#deps = deps
    this.#registry = new OperatorRegistry(deps)
  }

  /** Begins with what happens by itself: operators that are not heard of, and what other servers say. */
  start(): void {
    const { db, spine, staleMs } = this.#deps
    const timer = setInterval(() => this.#run('looking', () => this.look()), Math.max(50, staleMs / 3)).unref()
    this.#open.defer(() => clearInterval(timer))
    this.#open.use(db.listen(operatorsChannel, notice => this.#heard(notice)))
    this.#open.use(spine.jobs.watchLeases(jobId => this.#leaseChanged(jobId)))
  }

  /** Begins to call the HTTP services of the configuration. Throws `config.invalid` where a secret is missing. */
  async openProxies(): Promise<void> {
    const { allowed, proxies } = this.#deps.proxies
    if (proxies.length === 0) return
    const http = this.#open.use(new GuardedHttp(allowed))
    for (const proxy of proxies) await this.#openProxy(proxy, http)
  }

  /**
   * Registers an operator and begins to hand its jobs to the link; the connection that it had before is closed. Throws
   * `auth.forbidden` without the scope `operate:jobs`, `input.invalid`, and `operator.limit` for one too many.
   */
  async connect(identity: Identity, given: Registration, link: OperatorLink): Promise<OperatorSession> {
    checkScope(identity, 'operate:jobs')
    this.#admit()
    const parsed = Registration.safeParse(given)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw new AppError('input.invalid', `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'is not valid.'}`)
    }
    const registration = parsed.data
    const key = { organisation: identity.organisation, id: registration.operatorId }
    const by = identity.subject
    const digest = configDigest(registration)
    const entrance: Entrance = { kind: 'native', registration, digest, session: newSessionId(), by }
    return this.#connect(key, entrance, link)
  }

  /** By their ids. */
  async list({ organisation }: Identity, filter: OperatorFilter = {}): Promise<OperatorView[]> {
    const { topic, status, limit = Infinity } = filter
    const found: OperatorView[] = []
    let after = filter.after ?? ''
    for (;;) {
      const rows = await selectOperators(this.#deps.db.read, organisation, { after, limit: rowsAtOnce })
      for (const row of rows) {
        const view = operatorView(row, this.#deps.leastStage)
        if (topic !== undefined && !view.topics.includes(topic)) continue
        if (status !== undefined && status !== view.status) continue
        if (found.push(view) === limit) return found
      }
      if (rows.length < rowsAtOnce) return found
      after = rows.at(-1)?.id ?? after
    }
  }

  async page(identity: Identity, filter: OperatorFilter & { readonly limit: number }): Promise<OperatorPage> {
    const found = await this.list(identity, { ...filter, limit: filter.limit + 1 })
    const operators = found.slice(0, filter.limit)
    return { operators, next: found.length > operators.length ? (operators.at(-1)?.operator_id ?? null) : null }
  }

  /** What all operators of the organisation take, also those that are not connected. */
  async takers(organisation: string): Promise<Taker[]> {
    const rows = await selectTakers(this.#deps.db.read, organisation)
    return rows.map(({ topics, schemas }) => ({
      topics: parseJson(topics) as string[],
      schemas: parseJson(schemas) as string[],
    }))
  }

  /** Throws `operator.unknown`. */
  async get({ organisation }: Identity, id: string): Promise<OperatorDetail> {
    const key = { organisation, id: checkedId(id) }
    const view = await this.#view(key)
    const events = await selectEvents(this.#deps.db.read, key, shownEvents)
    const evidence = await selectEvidence(this.#deps.db.read, key)
    return { ...view, evidence: evidence.map(evidenceView), history: events.map(eventView) }
  }

  /** Throws `operator.unknown` and `operator.offline`. */
  async drain({ organisation, subject }: Identity, id: string): Promise<OperatorView> {
    const key = { organisation, id: checkedId(id) }
    await this.#registry.drain(key, subject)
    return this.#afterChange(key)
  }

  /** Throws `operator.unknown`. */
  async quarantine({ organisation, subject }: Identity, id: string, reason: string): Promise<OperatorView> {
    const key = { organisation, id: checkedId(id) }
    await this.#registry.quarantine(key, { by: subject, reason })
    return this.#afterChange(key)
  }

  /** Throws `operator.unknown`. */
  async release({ organisation, subject }: Identity, id: string): Promise<OperatorView> {
    const key = { organisation, id: checkedId(id) }
    await this.#registry.release(key, subject)
    return this.#afterChange(key)
  }

  /**
   * Tries an operator and keeps what is found. Throws `operator.unknown`, `operator.offline` for one that gets no jobs, and
   * `operator.evidence` for one that is not at the stage `staging`.
   */
  async check({ organisation, subject }: Identity, id: string, asked: CheckOperator): Promise<Evidence[]> {
    const key = { organisation, id: checkedId(id) }
    const operator = await this.#view(key)
    if (operator.stage !== 'staging')
      throw new AppError('operator.evidence', `${id} is at ${operator.stage}; checks are of the stage staging.`)
    if (operator.status !== 'online')
      throw new AppError('operator.offline', `${id} is ${operator.status} and gets no jobs to be checked with.`)
    const cut = (): Promise<void> => this.#cut(key)
    const { spine, now } = this.#deps
    const rows: EvidenceRow[] = []
    for await (const found of checkOperator(operator, asked, { organisation, spine, now, cut })) {
      const row = {
        organisation,
        operator: id,
        digest: operator.config_digest,
        check_name: found.check,
        passed: found.reason === null ? 1 : 0,
        at: Math.round(now()),
        by: subject,
        jobs: found.jobs,
        duration_ms: Math.round(found.durationMs),
        reason: found.reason,
      }
      await this.#registry.record(key, row)
      rows.push(row)
    }
    return rows.map(evidenceView)
  }

  /** Throws `operator.unknown`, and `operator.evidence` where production is asked for too early. */
  async promote(
    { organisation, subject }: Identity,
    id: string,
    { stage, reason }: { readonly stage: OperatorStage; readonly reason: string },
  ): Promise<OperatorView> {
    const key = { organisation, id: checkedId(id) }
    await this.#registry.promote(key, { stage, reason, by: subject })
    return this.#afterChange(key)
  }

  /** Throws `operator.unknown` and `operator.online`. */
  async forget({ organisation }: Identity, id: string): Promise<{ operator_id: string }> {
    await this.#registry.forget({ organisation, id: checkedId(id) })
    return { operator_id: id }
  }

  /** Ends connections that are not heard of, here and of servers that are gone; notes those that are. */
  async look(): Promise<void> {
    const { db, now, staleMs } = this.#deps
    for (const session of [...this.#sessions]) {
      if (session.heardAt < now() - staleMs) await session.end('stale')
      else await session.touch()
    }
    // Twice the time, since other servers note what they hear a little later.
    const before = Math.round(now() - 2 * staleMs)
    for (const key of await selectSilent(db.read, { before, limit: silentAtOnce }))
      await this.#registry.lose(key, before)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await Promise.all([...this.#sessions].map(session => session.end('stopping')))
    await Promise.all(this.#proxies.map(proxy => proxy[Symbol.asyncDispose]()))
    this.#open.dispose()
    await Promise.all(this.#working)
  }

  async #connect(key: OperatorKey, entrance: Entrance, link: OperatorLink): Promise<Session> {
    const isOurs = entrance.kind === 'proxy'
    const enter = (): Promise<unknown> => this.#registry.enter(key.organisation, entrance)
    const { registration, session: id } = entrance
    const deps = { ...this.#deps, jobs: this.#deps.spine.jobs, registry: this.#registry }
    const session = new Session(
      { ...deps, heartbeatMs: this.#heartbeatMs, leaseMs: entrance.leaseMs ?? deps.leaseMs },
      { id, key, registration, link, isOurs, enter, onEnd: over => this.#sessions.delete(over) },
    )
    await enter()
    this.#sessions.add(session)
    await this.#lookAll(key)
    if (this.#isOver) await session.end('stopping')
    else session.start()
    return session
  }

  async #openProxy(proxy: ProxyConfig, http: GuardedHttp): Promise<void> {
    const { log, env, mappings } = this.#deps
    const secret = proxy.auth ? (env(proxy.auth.variable) ?? null) : null
    if (proxy.auth && secret === null)
      throw new AppError(
        'config.invalid',
        `The proxy ${proxy.id} needs the variable ${proxy.auth.variable}. Set it, or remove auth from the proxy.`,
      )
    const key = { organisation: proxy.organisation, id: proxy.id }
    const onHealth = (failing: string | null): Promise<void> => this.#registry.health(key, failing)
    const operator = new ProxyOperator(proxy, { http, mappings, log, secret, onHealth })
    this.#proxies.push(operator)
    const registration = Registration.parse(operator.registration)
    const session = await this.#connect(
      key,
      {
        kind: 'proxy',
        registration,
        digest: configDigest(registration, proxy.declared),
        session: 'proxy',
        by: 'server',
        leaseMs: proxy.timeout_ms + proxyMarginMs,
      },
      operator,
    )
    operator.start(session)
  }

  get #heartbeatMs(): number {
    return Math.round(Math.min(this.#deps.staleMs, this.#deps.leaseMs) / 3)
  }

  async #afterChange(key: OperatorKey): Promise<OperatorView> {
    await this.#lookAll(key)
    return this.#view(key)
  }

  async #view(key: OperatorKey): Promise<OperatorView> {
    const row = await findCounted(this.#deps.db.read, key)
    if (!row)
      throw new AppError('operator.unknown', `There is no operator ${key.id}. \`slipway operators\` lists them.`)
    return operatorView(row, this.#deps.leastStage)
  }

  /** Breaks the connection of an operator to this server, as a network might. */
  async #cut({ organisation, id }: OperatorKey): Promise<void> {
    const mine = [...this.#sessions].filter(({ key }) => key.organisation === organisation && key.id === id)
    await Promise.all(mine.map(session => session.end('stale')))
  }

  /** Has the connections of an operator read what the table says. */
  async #lookAll({ organisation, id }: OperatorKey): Promise<void> {
    const mine = [...this.#sessions].filter(({ key }) => key.organisation === organisation && key.id === id)
    await Promise.all(mine.map(session => session.look()))
  }

  #heard(notice: string | null): void {
    const key = notice === null ? null : readKey(notice)
    const told = [...this.#sessions].filter(session => key === null || isSame(session.key, key))
    for (const session of told) this.#run('looking', () => session.look())
  }

  #leaseChanged(jobId: string | null): void {
    const concerned = [...this.#sessions].filter(session => jobId === null || session.holds(jobId))
    for (const session of concerned) this.#run('looking', () => session.lookAt(jobId))
  }

  #admit(): void {
    if (this.#isOver) throw new AppError('server.stopping', 'The server is stopping. Ask another one.')
  }

  #run(doing: string, work: () => Promise<void>): void {
    if (this.#isOver) return
    const promise: Promise<void> = work()
      .catch((error: unknown) => operatorFailed(this.#deps.log, { doing, error }))
      .finally(() => this.#working.delete(promise))
    this.#working.add(promise)
  }
}

function isSame(a: OperatorKey, b: OperatorKey): boolean {
  return a.organisation === b.organisation && a.id === b.id
}

function readKey(notice: string): OperatorKey {
  // Only servers of this database write here.
  const [organisation, id] = parseJson(notice) as [string, string]
  return { organisation, id }
}

function checkedId(id: string): string {
  if (!OperatorId.safeParse(id).success) throw new AppError('operator.unknown', 'There is no such operator.')
  return id
}
