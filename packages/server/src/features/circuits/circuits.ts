import { parseJson } from '@slipway/kit/json'
import type { CircuitDocument, CircuitView } from '@slipway/protocol/circuits'
import { AppError } from '@slipway/protocol/errors'
import type { Tx } from '#db/database'
import type { Operators } from '#features/operators/operators'
import type { Identity } from '#http/authenticate'
import { circuitFailed } from '#observe/circuits-log'
import { checkCircuit } from './circuit-check.ts'
import { CircuitRunner, type RunnerDeps } from './circuit-runner.ts'
import {
  deleteCircuitRow,
  findCircuit,
  lockCircuit,
  putCircuitRow,
  selectCircuits,
  selectEnabled,
  type CircuitKey,
  type CircuitRow,
} from './circuit-store.ts'

export interface CircuitsDeps extends RunnerDeps {
  readonly operators: Pick<Operators, 'list'>
  /** Milliseconds since 1970. */
  readonly now: () => number
}

const channel = 'slipway_circuits'
const circuitsPerOrganisation = 200

/** Declared wiring between topics. */
export class Circuits implements AsyncDisposable {
  readonly #deps: CircuitsDeps
  readonly #runners = new Map<string, CircuitRunner>()
  #listener: Disposable | null = null
  /** Changes of what runs come one after the other. */
  #settling: Promise<void> = Promise.resolve()
  #isOver = false

  constructor(deps: CircuitsDeps) {
    this.#deps = deps
  }

  /** Begins to hand on, and to hear what other servers change. */
  start(): void {
    this.#listener = this.#deps.db.listen(channel, () => void this.#settle())
    void this.#settle()
  }

  async list({ organisation }: Identity): Promise<CircuitView[]> {
    return (await selectCircuits(this.#deps.db.read, organisation)).map(viewOf)
  }

  /** Throws `circuit.unknown`. */
  async get({ organisation }: Identity, name: string): Promise<CircuitView> {
    const row = await findCircuit(this.#deps.db.read, { organisation, name })
    if (!row) throw unknownCircuit(name)
    return viewOf(row)
  }

  /** Throws `circuit.invalid`. The same document changes nothing. */
  async put(identity: Identity, name: string, document: CircuitDocument): Promise<CircuitView> {
    if (document.circuit !== name)
      throw new AppError('circuit.invalid', `The document is of the circuit ${document.circuit}, and not ${name}.`)
    await this.#check(identity, document)
    const key = { organisation: identity.organisation, name }
    const text = JSON.stringify(document)
    return this.#change(key, async tx => {
      const known = await lockCircuit(tx, key)
      if (known?.document === text) return known
      if (!known && (await selectCircuits(tx.sql, key.organisation)).length >= circuitsPerOrganisation)
        throw new AppError('circuit.invalid', `An organisation has at most ${circuitsPerOrganisation} circuits.`)
      const changed = { document: text, changed_at: Math.round(this.#deps.now()), changed_by: identity.subject }
      const counts = { handed_on: 0, held_back: 0, failed: 0, cut: 0, last_problem: null }
      return {
        ...(known ?? { ...key, ...counts, state: 'paused', seq: null }),
        ...changed,
        version: (known?.version ?? 0) + 1,
      }
    })
  }

  /** Throws `circuit.unknown`, and `circuit.invalid` where it does not fit its surroundings any more. */
  async enable(identity: Identity, name: string): Promise<CircuitView> {
    const key = { organisation: identity.organisation, name }
    await this.#check(identity, (await this.get(identity, name)).document)
    const last = await this.#deps.spine.messages.last()
    return this.#change(key, async tx => {
      const row = await lockCircuit(tx, key)
      if (!row) throw unknownCircuit(name)
      return { ...row, state: 'enabled', seq: row.seq ?? last }
    })
  }

  /** Throws `circuit.unknown`. */
  async pause({ organisation }: Identity, name: string): Promise<CircuitView> {
    const key = { organisation, name }
    return this.#change(key, async tx => {
      const row = await lockCircuit(tx, key)
      if (!row) throw unknownCircuit(name)
      return { ...row, state: 'paused' }
    })
  }

  /** Throws `circuit.unknown`. */
  async delete({ organisation }: Identity, name: string): Promise<{ circuit: string }> {
    const key = { organisation, name }
    await this.#deps.db.transaction(async tx => {
      if (!(await lockCircuit(tx, key))) throw unknownCircuit(name)
      await deleteCircuitRow(tx, key)
      await this.#deps.db.notify(tx, channel, '')
    })
    await this.#settle()
    return { circuit: name }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    this.#listener?.[Symbol.dispose]()
    await this.#settling
    await Promise.all([...this.#runners.values()].map(runner => runner[Symbol.asyncDispose]()))
  }

  async #check(identity: Identity, document: CircuitDocument): Promise<void> {
    const [operators, circuits] = await Promise.all([this.#deps.operators.list(identity), this.list(identity)])
    const takers = operators.map(({ topics, supported_schemas: schemas }) => ({ topics, schemas }))
    const others = circuits.filter(({ circuit, state }) => state === 'enabled' && circuit !== document.circuit)
    checkCircuit(document, { takers, others: others.map(other => other.document) })
  }

  async #change(key: CircuitKey, decide: (tx: Tx) => Promise<CircuitRow>): Promise<CircuitView> {
    const row = await this.#deps.db.transaction(async tx => {
      const changed = await decide(tx)
      await putCircuitRow(tx, changed)
      await this.#deps.db.notify(tx, channel, '')
      return changed
    })
    await this.#settle()
    return viewOf((await findCircuit(this.#deps.db.read, key)) ?? row)
  }

  /** Has this server run what the table says. */
  #settle(): Promise<void> {
    this.#settling = this.#settling
      .then(() => this.#adjust())
      .catch((error: unknown) => circuitFailed(this.#deps.log, { organisation: '', circuit: '', error }))
    return this.#settling
  }

  async #adjust(): Promise<void> {
    if (this.#isOver || this.#listener === null) return
    const wanted = new Map((await selectEnabled(this.#deps.db.read)).map(row => [keyOf(row), row]))
    for (const [key, runner] of this.#runners) {
      if (wanted.get(key)?.version === runner.version) continue
      await runner[Symbol.asyncDispose]()
      this.#runners.delete(key)
    }
    for (const [key, row] of wanted)
      if (!this.#runners.has(key)) this.#runners.set(key, new CircuitRunner(row, documentOf(row), this.#deps))
  }
}

function keyOf({ organisation, name }: CircuitKey): string {
  return JSON.stringify([organisation, name])
}

function documentOf({ document }: CircuitRow): CircuitDocument {
  // Only checked documents are written.
  return parseJson(document) as CircuitDocument
}

function viewOf(row: CircuitRow): CircuitView {
  return {
    circuit: row.name,
    version: row.version,
    state: row.state as CircuitView['state'],
    document: documentOf(row),
    changed_at: new Date(row.changed_at).toISOString(),
    changed_by: row.changed_by,
    seq: row.seq ?? 0,
    counts: { handed_on: row.handed_on, held_back: row.held_back, failed: row.failed, cut: row.cut },
    last_problem: row.last_problem,
  }
}

function unknownCircuit(name: string): AppError {
  return new AppError('circuit.unknown', `There is no circuit ${name}.`)
}
