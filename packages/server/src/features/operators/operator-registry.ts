import { operatorEventSchema, type CheckedRegistration, type OperatorEvent } from '@slipway/protocol/bus/operators'
import { operatorsTopic } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import { operatorChecks, operatorStages, type OperatorStage } from '@slipway/protocol/operators'
import type { Database, Tx } from '#db/database'
import type { Spine } from '#features/spine/spine'
import {
  changeOperator,
  countOperators,
  deleteEvidence,
  deleteOperatorRow,
  insertEvent,
  insertOperator,
  putEvidence,
  selectEvidence,
  type EvidenceRow,
  lockOperator,
  touchOperator,
  trimEvents,
  type OperatorKey,
  type OperatorRow,
} from './operator-store.ts'

export interface RegistryDeps {
  readonly db: Database
  readonly spine: Pick<Spine, 'messages'>
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** So many failures one after the other bring an operator into quarantine; 0 for never. */
  readonly quarantineAfterFaults: number
  readonly mostOperators: number
}

export interface Entrance {
  readonly kind: 'native' | 'proxy'
  readonly registration: CheckedRegistration
  readonly digest: string
  /** The new connection. */
  readonly session: string
  readonly by: string
  /** How long its leases are; the server's own length where it does not say. */
  readonly leaseMs?: number
}

type EventName = OperatorEvent['event']

/** What changes a row, and how it is told; null where nothing is to be changed. */
interface Change {
  readonly fields: Partial<Omit<OperatorRow, keyof OperatorKey>>
  readonly event: EventName
  readonly by: string
  readonly reason?: string | null
}

export const operatorsChannel = 'slipway_operators'

const keptEvents = 200

/**
 * The table of operators. Every change is one transaction with its entry in the operator's history and its message on
 * `system.control.operators`, and all servers hear of it.
 */
export class OperatorRegistry {
  readonly #deps: RegistryDeps

  constructor(deps: RegistryDeps) {
    this.#deps = deps
  }

  /** Makes `session` the operator's connection, in the place of one that it had. */
  enter(organisation: string, entrance: Entrance): Promise<OperatorRow> {
    const { registration, session, by } = entrance
    const key = { organisation, id: registration.operatorId }
    return this.#deps.db.transaction(async tx => {
      const known = (await lockOperator(tx, key)) ?? (await this.#insert(tx, key, entrance))
      if (known.kind !== entrance.kind)
        throw new AppError(
          'operator.online',
          `${key.id} is ${known.kind === 'proxy' ? 'a proxy of the server' : 'a native operator'}. Choose another id.`,
        )
      const isChanged = known.digest !== entrance.digest
      const now = this.#now()
      const fields = {
        ...stated(entrance),
        session,
        registered_at: now,
        last_seen_at: now,
        draining_at: null,
        failing: null,
        // What was checked of another configuration says nothing of this one.
        stage: isChanged && known.stage === 'production' ? 'staging' : known.stage,
      }
      if (fields.stage !== known.stage)
        await this.#tell(tx, key, { event: 'demoted', by, reason: 'Its configuration is another one.', fields })
      else if (isChanged) await this.#tell(tx, key, { event: 'changed', by, fields })
      await this.#apply(tx, key, { fields, event: 'registered', by })
      return { ...known, ...fields }
    })
  }

  /** Notes that nobody is connected any more, where it was this session. */
  async leave(
    key: OperatorKey,
    session: string,
    { event, reason }: { readonly event: 'disconnected' | 'lost'; readonly reason: string },
  ): Promise<void> {
    await this.#change(key, row =>
      row.session === session ? { fields: { session: null, draining_at: null }, event, by: 'server', reason } : null,
    )
  }

  /** Notes that an operator was not heard of for too long, unless it was meanwhile. */
  async lose(key: OperatorKey, before: number): Promise<void> {
    await this.#change(key, row =>
      row.session !== null && row.last_seen_at < before
        ? { fields: { session: null, draining_at: null }, event: 'lost', by: 'server', reason: 'It was not heard of.' }
        : null,
    )
  }

  /** Notes that it was heard of; no event. */
  async touch(key: OperatorKey, session: string): Promise<void> {
    await this.#deps.db.transaction(tx => touchOperator(tx, key, { session, at: this.#now() }))
  }

  /** Throws `operator.unknown` and `operator.offline`. */
  async drain(key: OperatorKey, by: string): Promise<void> {
    await this.#change(key, row => {
      if (row.kind === 'proxy')
        throw new AppError('operator.online', `${key.id} is a proxy of the server. Put it into quarantine instead.`)
      if (row.session === null)
        throw new AppError('operator.offline', `${key.id} is not connected: there is nothing to drain.`)
      return row.draining_at === null ? { fields: { draining_at: this.#now() }, event: 'draining', by } : null
    })
  }

  /** Throws `operator.unknown`. Repeating it changes nothing. */
  async quarantine(key: OperatorKey, { by, reason }: { readonly by: string; readonly reason: string }): Promise<void> {
    await this.#change(key, row => (row.quarantined_at === null ? this.#quarantine(by, reason) : null))
  }

  /** Throws `operator.unknown`. Repeating it changes nothing. */
  async release(key: OperatorKey, by: string): Promise<void> {
    const fields = { quarantined_at: null, quarantined_by: null, quarantine_reason: null, faults: 0 }
    await this.#change(key, row => (row.quarantined_at === null ? null : { fields, event: 'released', by }))
  }

  /** Its health check fails for this reason, or does no longer. Repeating it changes nothing. */
  async health(key: OperatorKey, failing: string | null): Promise<void> {
    const event = failing === null ? 'healthy' : 'failing'
    await this.#change(key, row =>
      (row.failing === null) === (failing === null)
        ? null
        : { fields: { failing }, event, by: 'server', reason: failing },
    )
  }

  /** Counts a failure; those that are enough bring it into quarantine. */
  async fault(key: OperatorKey, reason: string): Promise<void> {
    const limit = this.#deps.quarantineAfterFaults
    await this.#deps.db.transaction(async tx => {
      const row = await lockOperator(tx, key)
      if (!row) return
      const faults = row.faults + 1
      await changeOperator(tx, key, { faults })
      if (limit === 0 || faults < limit || row.quarantined_at !== null) return
      await this.#apply(
        tx,
        key,
        this.#quarantine('server', `${faults} failures one after the other; the last: ${reason}`),
      )
    })
  }

  /** It was successful. */
  async recovered(key: OperatorKey): Promise<void> {
    await this.#deps.db.transaction(tx => changeOperator(tx, key, { faults: 0 }))
  }

  /** Throws `operator.unknown` and, for one that is connected, `operator.online`. */
  async forget(key: OperatorKey): Promise<void> {
    await this.#deps.db.transaction(async tx => {
      const row = await this.#lock(tx, key)
      if (row.session !== null)
        throw new AppError('operator.online', `${key.id} is connected. Drain it first, or end its program.`)
      await deleteOperatorRow(tx, key)
      await trimEvents(tx, key, 0)
      await deleteEvidence(tx, key)
    })
  }

  /** Keeps what a check of this configuration found. */
  async record(key: OperatorKey, evidence: EvidenceRow): Promise<void> {
    await this.#deps.db.transaction(async tx => {
      await this.#lock(tx, key)
      await putEvidence(tx, evidence)
      const { by, check_name: check, reason } = evidence
      await this.#tell(tx, key, { fields: {}, event: 'checked', by, reason: `${check}: ${reason ?? 'passed'}` })
    })
  }

  /** Throws `operator.unknown` and, for production, `operator.evidence` that says what is missing. */
  async promote(
    key: OperatorKey,
    { stage, by, reason }: { readonly stage: OperatorStage; readonly by: string; readonly reason: string },
  ): Promise<void> {
    await this.#deps.db.transaction(async tx => {
      const row = await this.#lock(tx, key)
      if (row.stage === stage) return
      if (stage === 'production') {
        const found = (await selectEvidence(tx.sql, key)).filter(({ digest }) => digest === row.digest)
        const missing = operatorChecks.filter(check => !found.some(one => one.check_name === check && one.passed === 1))
        if (row.stage !== 'staging' || missing.length > 0)
          throw new AppError(
            'operator.evidence',
            `${key.id} is at ${row.stage} and has not passed: ${missing.join(', ') || 'nothing is missing'}. ` +
              `Promote it to staging, and check this configuration with: slipway operators check ${key.id}`,
          )
      }
      const event = isAtLeast(stage, row.stage as OperatorStage) ? 'promoted' : 'demoted'
      await this.#apply(tx, key, { fields: { stage }, event, by, reason: `${row.stage} to ${stage}: ${reason}` })
    })
  }

  #quarantine(by: string, reason: string): Change {
    const fields = { quarantined_at: this.#now(), quarantined_by: by, quarantine_reason: reason }
    return { fields, event: 'quarantined', by, reason }
  }

  async #change(key: OperatorKey, decide: (row: OperatorRow) => Change | null): Promise<void> {
    await this.#deps.db.transaction(async tx => {
      const change = decide(await this.#lock(tx, key))
      if (change) await this.#apply(tx, key, change)
    })
  }

  async #lock(tx: Tx, key: OperatorKey): Promise<OperatorRow> {
    const row = await lockOperator(tx, key)
    if (!row)
      throw new AppError('operator.unknown', `There is no operator ${key.id}. \`slipway operators\` lists them.`)
    return row
  }

  async #insert(tx: Tx, key: OperatorKey, entrance: Entrance): Promise<OperatorRow> {
    const { mostOperators } = this.#deps
    if ((await countOperators(tx, key.organisation)) >= mostOperators)
      throw new AppError(
        'operator.limit',
        `The organisation has ${mostOperators} operators. Delete some that are not connected any more.`,
      )
    const row: OperatorRow = {
      ...key,
      ...stated(entrance),
      stage: operatorStages[0],
      registered_at: this.#now(),
      last_seen_at: this.#now(),
      session: null,
      failing: null,
      draining_at: null,
      faults: 0,
      quarantined_at: null,
      quarantined_by: null,
      quarantine_reason: null,
    }
    const isNew = await insertOperator(tx, row)
    return isNew ? row : this.#lock(tx, key)
  }

  async #apply(tx: Tx, key: OperatorKey, change: Change): Promise<void> {
    await changeOperator(tx, key, change.fields)
    await this.#tell(tx, key, change)
    await trimEvents(tx, key, keptEvents)
    await this.#deps.db.notify(tx, operatorsChannel, JSON.stringify([key.organisation, key.id]))
  }

  async #tell(tx: Tx, { organisation, id }: OperatorKey, { event, by, reason = null }: Change): Promise<void> {
    const at = this.#now()
    await insertEvent(tx, { organisation, operator: id, event, at, by, reason })
    const told: OperatorEvent = { event, operator_id: id, at: new Date(at).toISOString(), by, reason }
    const payload = new TextEncoder().encode(JSON.stringify(told))
    await this.#deps.spine.messages.publishIn(tx, organisation, [
      { topic: operatorsTopic, type: 'control', schema: operatorEventSchema, payload },
    ])
  }

  #now(): number {
    return Math.round(this.#deps.now())
  }
}

function stated({
  kind,
  registration,
  digest,
}: Entrance): Pick<OperatorRow, 'type' | 'version' | 'kind' | 'topics' | 'schemas' | 'slots' | 'hardware' | 'digest'> {
  return {
    type: registration.operatorType,
    version: registration.version,
    kind,
    topics: JSON.stringify(registration.topics),
    schemas: JSON.stringify(registration.supportedSchemas),
    slots: registration.maxParallelJobs,
    hardware: registration.hardwareProfile,
    digest,
  }
}

/** Whether an operator of this stage gets jobs where at least that one is asked for. */
export function isAtLeast(stage: OperatorStage, least: OperatorStage): boolean {
  return operatorStages.indexOf(stage) >= operatorStages.indexOf(least)
}
