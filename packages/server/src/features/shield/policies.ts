import { createHash } from 'node:crypto'
import { unreachable } from '@slipway/kit/unreachable'
import { AppError } from '@slipway/protocol/errors'
import type { PolicyView, PutPolicy } from '@slipway/protocol/policies'
import type { Database, Tx } from '#db/database'
import type { Audit, Deed } from '#features/access/access'
import type { Identity } from '#http/authenticate'
import type { Logger } from '#observe/log'
import type { ShieldCounters } from '#observe/shield-counters'
import { policiesNotRead, policyChanged, policyNotLoaded, policySaid } from '#observe/shield-log'
import type { Gate, Outgoing } from './gate.ts'
import type { CheckAnswer } from './policy-abi.ts'
import { boundsProblem } from './policy-module.ts'
import { PolicyPool, type PoolFailure, type PoolTerms } from './policy-pool.ts'
import {
  countPolicies,
  deletePolicy,
  findPolicy,
  putPolicy,
  selectPolicies,
  setActive,
  type PolicyRow,
} from './policy-store.ts'
import { matchesTopic } from './topic-pattern.ts'
import type { WasmModule } from './wasm.ts'

export interface PolicyTerms extends PoolTerms {
  /** Whether messages that no policy covers are refused. */
  readonly required: boolean
  readonly moduleBytes: number
}

export interface PoliciesDeps {
  readonly db: Database
  readonly audit: Audit
  readonly log: Logger
  /** Milliseconds since 1970. */
  readonly now: () => number
  readonly terms: PolicyTerms
  readonly counters: ShieldCounters
}

/** An active policy; without a module it could not be loaded, and refuses everything. */
interface Active {
  readonly name: string
  readonly version: number
  readonly topics: string
  readonly digest: string
  readonly module: WasmModule | null
}

/** What is known of an organisation. */
interface Known {
  /** Null until they were read for the first time. */
  policies: readonly Active[] | null
  readonly newest: Promise<readonly Active[]>
  /** Whether `policies` are what `newest` gave. */
  isNewest: boolean
}

const channel = 'slipway_policies'
const mostPolicies = 50
const organisationsKept = 1_000

/** The policies of all organisations: which there are, and what they say. */
export class Policies implements Gate, AsyncDisposable {
  readonly #deps: PoliciesDeps
  readonly #pool: PolicyPool
  readonly #listening: Disposable
  readonly #known = new Map<string, Known>()

  constructor(deps: PoliciesDeps) {
    this.#deps = deps
    this.#pool = new PolicyPool(deps.terms, () => deps.counters.add('workersReplaced'))
    this.#listening = deps.db.listen(channel, organisation => this.#heard(organisation))
  }

  async check(message: Outgoing): Promise<void> {
    const { terms, counters } = this.#deps
    const policies = await this.#inForce(message.by.organisation)
    const covering = policies.filter(({ topics }) => matchesTopic(topics, message.topic))
    if (covering.length === 0 && terms.required)
      throw new AppError('policy.missing', `No active policy covers ${message.topic}, and this server asks for one.`)
    for (const policy of covering) {
      if (policy.module === null)
        throw new AppError('policy.missing', `${nameOf(policy)} could not be loaded, so that nothing passes it.`)
      counters.add('checked')
      const { digest: key, module } = policy
      const organisation = message.by.organisation
      const answer = await this.#pool.check(organisation, { key, module }, asked(message))
      this.#tell(organisation, policy, answer)
      const refusal = refusalOf(policy, answer)
      if (refusal !== null) throw refusal
    }
  }

  /** Puts the policy in force once it is compiled. Throws `policy.invalid`, and leaves everything as it was. */
  async put(by: Identity, name: string, asked: PutPolicy): Promise<PolicyView> {
    const { db, log, now } = this.#deps
    const { organisation, subject } = by
    const bytes = Buffer.from(asked.module, 'base64')
    await this.#compiled(organisation, name, bytes)
    const digest = digestOf(bytes)
    const row = { organisation, name, topics: asked.topics, is_active: asked.active ? 1 : 0, digest, module: bytes }
    await db.transaction(async tx => {
      await putPolicy(tx, { ...row, changed_by: subject, changed_at: Math.round(now()) })
      await this.#note(tx, 'put', { by, policy: await findPolicy(tx.sql, organisation, name) })
      if ((await countPolicies(tx, organisation)) > mostPolicies)
        throw new AppError(
          'policy.invalid',
          `An organisation has at most ${mostPolicies} policies. Delete one of them.`,
        )
      await db.notify(tx, channel, organisation)
    })
    policyChanged(log, { organisation, policy: name, by: subject, change: 'put', digest })
    return this.#changed(organisation, name)
  }

  /** Throws `policy.unknown`. Repeating it changes nothing. */
  async setActive(by: Identity, name: string, isActive: boolean): Promise<PolicyView> {
    const { db, log, now } = this.#deps
    const { organisation, subject } = by
    const changed = { is_active: isActive ? 1 : 0, changed_by: subject, changed_at: Math.round(now()) }
    const change = isActive ? 'activated' : 'deactivated'
    const isChanged = await db.transaction(async tx => {
      const policy = await findPolicy(tx.sql, organisation, name)
      if (!policy) throw unknownPolicy(name)
      if (policy.is_active === changed.is_active) return false
      await setActive(tx, { organisation, name, ...changed })
      await this.#note(tx, change, { by, policy: { ...policy, ...changed } })
      await db.notify(tx, channel, organisation)
      return true
    })
    if (isChanged) policyChanged(log, { organisation, policy: name, by: subject, change })
    return this.#changed(organisation, name)
  }

  /** Throws `policy.unknown`. */
  async delete(by: Identity, name: string): Promise<PolicyView> {
    const { db, log } = this.#deps
    const { organisation, subject } = by
    const view = await this.get(by, name)
    await db.transaction(async tx => {
      const policy = await findPolicy(tx.sql, organisation, name)
      if (!(await deletePolicy(tx, organisation, name))) throw unknownPolicy(name)
      await this.#note(tx, 'deleted', { by, policy })
      await db.notify(tx, channel, organisation)
    })
    policyChanged(log, { organisation, policy: name, by: subject, change: 'deleted' })
    await this.#refresh(organisation)
    return view
  }

  /** By name. */
  async list({ organisation }: Identity): Promise<PolicyView[]> {
    const [rows, active] = await Promise.all([
      selectPolicies(this.#deps.db.read, organisation),
      this.#inForce(organisation),
    ])
    return rows.map(row => viewOf(row, active))
  }

  /** Throws `policy.unknown`. */
  async get({ organisation }: Identity, name: string): Promise<PolicyView> {
    const row = await findPolicy(this.#deps.db.read, organisation, name)
    if (!row) throw unknownPolicy(name)
    return viewOf(row, await this.#inForce(organisation))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listening[Symbol.dispose]()
    await this.#pool[Symbol.asyncDispose]()
  }

  async #note(
    tx: Tx,
    change: Deed['change'],
    { by, policy }: { readonly by: Identity; readonly policy: PolicyRow | undefined },
  ): Promise<void> {
    if (!policy) return
    const { name, version, digest, topics, is_active: isActive } = policy
    const details = { topics, active: isActive === 1 }
    await this.#deps.audit.note(tx, by, { kind: 'policy', name, change, version, digest, details })
  }

  async #changed(organisation: string, name: string): Promise<PolicyView> {
    const active = await this.#refresh(organisation)
    const row = await findPolicy(this.#deps.db.read, organisation, name)
    if (!row) throw unknownPolicy(name)
    return viewOf(row, active)
  }

  /** Fails closed: what cannot be read refuses the message, and is read again for the next one. */
  async #inForce(organisation: string): Promise<readonly Active[]> {
    try {
      const known = this.#known.get(organisation)
      return known?.policies ?? (await (known?.newest ?? this.#refresh(organisation)))
    } catch (error) {
      throw new AppError('policy.missing', 'The policies of this organisation cannot be read at the moment.', {
        cause: error,
      })
    }
  }

  /** What was in force stays until the new is there. */
  async #refresh(organisation: string): Promise<readonly Active[]> {
    const before = this.#known.get(organisation)
    this.#makeRoom()
    const known: Known = {
      policies: before?.policies ?? null,
      newest: this.#load(organisation, before?.policies ?? []),
      isNewest: false,
    }
    this.#known.set(organisation, known)
    try {
      const policies = await known.newest
      // Whoever began later has read more; until that is there, this is in force.
      const current = this.#known.get(organisation)
      if (current === known) known.isNewest = true
      if (current && (current === known || !current.isNewest)) current.policies = policies
      return policies
    } catch (error) {
      if (this.#known.get(organisation) === known) this.#known.delete(organisation)
      throw error
    }
  }

  #makeRoom(): void {
    const [oldest] = this.#known.keys()
    if (this.#known.size >= organisationsKept && oldest !== undefined) this.#known.delete(oldest)
  }

  async #load(organisation: string, before: readonly Active[]): Promise<readonly Active[]> {
    const rows = await selectPolicies(this.#deps.db.read, organisation)
    const active: Active[] = []
    // One after the other: together they would take the room that messages of the organisation have to wait.
    for (const row of rows) if (row.is_active === 1) active.push(await this.#activate(row, before))
    return active
  }

  async #activate(row: PolicyRow, known: readonly Active[]): Promise<Active> {
    const { organisation, name, version, topics, digest } = row
    const same = known.find(policy => policy.digest === digest && policy.module !== null)
    if (same) return { name, version, topics, digest, module: same.module }
    try {
      if (digestOf(row.module) !== digest)
        throw new AppError('policy.invalid', 'Its bytes are not those that were put.')
      return { name, version, topics, digest, module: await this.#compiled(organisation, name, row.module) }
    } catch (error) {
      // It may be loaded in a moment; until then nothing is known of these policies.
      if (error instanceof AppError && error.retryable) throw error
      policyNotLoaded(this.#deps.log, { organisation, policy: name, version, error })
      return known.find(policy => policy.name === name) ?? { name, version, topics, digest, module: null }
    }
  }

  /** Throws `policy.invalid` with what is wrong, and `body.too_large`. */
  async #compiled(organisation: string, name: string, bytes: Uint8Array): Promise<WasmModule> {
    const { moduleBytes } = this.#deps.terms
    if (bytes.byteLength > moduleBytes)
      throw new AppError(
        'body.too_large',
        `A policy has at most ${moduleBytes} bytes, and this one ${bytes.byteLength}.`,
      )
    const problem = boundsProblem(bytes, this.#deps.terms)
    const loaded =
      problem === null ? await this.#pool.load(organisation, bytes) : ({ type: 'unusable', problem } as const)
    switch (loaded.type) {
      case 'loaded':
        return loaded.module
      case 'unusable':
        throw new AppError('policy.invalid', `${name} is no policy: ${loaded.problem}.`)
      case 'timeout':
      case 'crashed':
        throw new AppError('policy.invalid', `${name} does not start: it ${wordsOf[loaded.type]}.`)
      case 'busy':
        throw new AppError('policy.busy', 'Too many messages wait for policies. Try again in a moment.')
      default:
        return unreachable(loaded)
    }
  }

  #heard(organisation: string | null): void {
    const changed = organisation === null ? [...this.#known.keys()] : [organisation]
    for (const known of changed) {
      if (!this.#known.has(known)) continue
      // What could not be read is forgotten: the next message reads it again, and is refused where that fails too.
      this.#refresh(known).catch((error: unknown) => policiesNotRead(this.#deps.log, { organisation: known, error }))
    }
  }

  #tell(organisation: string, { name }: Active, answer: CheckAnswer | PoolFailure): void {
    if (!('logs' in answer)) return
    for (const { level, text } of answer.logs) policySaid(this.#deps.log, { organisation, policy: name, level, text })
  }
}

const wordsOf = { timeout: 'took too long', crashed: 'brought its thread to an end' } as const

function refusalOf(policy: Active, answer: CheckAnswer | PoolFailure): AppError | null {
  const name = nameOf(policy)
  const details = { policy: policy.name, version: policy.version }
  switch (answer.type) {
    case 'allowed':
      return null
    case 'denied': {
      const said = answer.message === '' ? '' : `: ${answer.message}`
      const numbered = { ...details, number: answer.number }
      return new AppError('policy.denied', `${name} refuses this message with ${answer.number}${said}.`, {
        details: numbered,
      })
    }
    case 'failed':
      return new AppError('policy.failed', `${name} failed: ${answer.why}. Nothing passes it then.`, { details })
    case 'memory':
      return new AppError('policy.memory', `${name} ran out of memory: ${answer.why}.`, { details })
    case 'timeout':
    case 'crashed':
      return new AppError(`policy.${answer.type}`, `${name} ${wordsOf[answer.type]}. Nothing passes it then.`, {
        details,
      })
    case 'busy':
      return new AppError('policy.busy', 'Too many messages wait for policies. Try again in a moment.', { details })
    default:
      return unreachable(answer)
  }
}

function asked({ by, topic, type, schema, payload, trace }: Outgoing): Parameters<PolicyPool['check']>[2] {
  const traced = Object.entries(trace ?? {}).map(([key, value]) => [`trace.${key}`, value] as const)
  const { organisation, subject } = by
  return { payload, headers: { ...Object.fromEntries(traced), topic, type, schema, organisation, subject } }
}

function viewOf(row: PolicyRow, active: readonly Active[]): PolicyView {
  const inForce = active.find(({ name }) => name === row.name)
  return {
    name: row.name,
    topics: row.topics,
    version: row.version,
    active: row.is_active === 1,
    digest: row.digest,
    bytes: row.module.byteLength,
    loaded: inForce?.digest === row.digest && inForce.module !== null,
    changed_by: row.changed_by,
    changed_at: new Date(row.changed_at).toISOString(),
  }
}

function nameOf({ name, version }: Active): string {
  return `The policy ${name} (version ${version})`
}

function unknownPolicy(name: string): AppError {
  return new AppError('policy.unknown', `There is no policy ${name}.`)
}

function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
