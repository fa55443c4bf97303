import { createHash } from 'node:crypto'
import { parseJson } from '@slipway/kit/json'
import type { CircuitDocument, CircuitVersion, CircuitVersionDetail, CircuitView } from '@slipway/protocol/circuits'
import { AppError } from '@slipway/protocol/errors'
import type { Tx } from '#db/database'
import type { Audit } from '#features/access/access'
import type { Operators } from '#features/operators/operators'
import type { Identity } from '#http/authenticate'
import { circuitChanged, circuitFailed } from '#observe/circuits-log'
import { checkCircuit } from './circuit-check.ts'
import { CircuitRunner, type RunnerDeps } from './circuit-runner.ts'
import {
  deleteCircuitRow,
  deleteVersions,
  findCircuit,
  findVersion,
  insertVersion,
  lockCircuit,
  putCircuitRow,
  selectCircuits,
  selectEnabled,
  selectVersions,
  type CircuitKey,
  type CircuitRow,
  type CircuitVersionRow,
} from './circuit-store.ts'

export interface CircuitsDeps extends RunnerDeps {
  readonly audit: Audit
  readonly operators: Pick<Operators, 'takers'>
  /** Milliseconds since 1970. */
  readonly now: () => number
}

type CircuitChange = 'declared' | 'rolled_back' | 'enabled' | 'paused' | 'deleted'

const channel = 'slipway_circuits'
const circuitsPerOrganisation = 200
/** Versions of a circuit that are kept, the one in force included. */
const keptVersions = 200

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

  /**
   * Throws `circuit.invalid` and `mapping.busy`. The same document changes nothing. With `dryRun` nothing changes either, and
   * what comes back is what the circuit would be.
   */
  async put(
    identity: Identity,
    name: string,
    { document, dryRun = false }: { readonly document: CircuitDocument; readonly dryRun?: boolean },
  ): Promise<CircuitView> {
    if (document.circuit !== name)
      throw new AppError('circuit.invalid', `The document is of the circuit ${document.circuit}, and not ${name}.`)
    await this.#check(identity, document)
    const key = { organisation: identity.organisation, name }
    if (!dryRun) return this.#declare(identity, key, { document: JSON.stringify(document), restored: null })
    const known = await findCircuit(this.#deps.db.read, key)
    return viewOf(this.#next(identity, key, { known, document: JSON.stringify(document) }))
  }

  /** Throws `circuit.unknown`, and `circuit.invalid` where that version does not fit its surroundings any more. */
  async rollback(identity: Identity, name: string, version: number): Promise<CircuitView> {
    const key = { organisation: identity.organisation, name }
    const { document } = await this.#version(key, version)
    await this.#check(identity, readDocument(document))
    return this.#declare(identity, key, { document, restored: version })
  }

  /** Throws `circuit.unknown`. Newest first. */
  async versions(
    identity: Identity,
    name: string,
    { after: before, limit }: { readonly after?: number | undefined; readonly limit: number },
  ): Promise<{ readonly versions: CircuitVersion[]; readonly next: number | null }> {
    await this.get(identity, name)
    const key = { organisation: identity.organisation, name }
    const rows = await selectVersions(this.#deps.db.read, key, { before, limit: limit + 1 })
    const page = rows.slice(0, limit)
    return { versions: page.map(versionView), next: rows.length > limit ? (page.at(-1)?.version ?? null) : null }
  }

  /** Throws `circuit.unknown`. */
  async version({ organisation }: Identity, name: string, version: number): Promise<CircuitVersionDetail> {
    const row = await this.#version({ organisation, name }, version)
    return { ...versionView(row), document: readDocument(row.document) }
  }

  /** Throws `circuit.unknown`, and `circuit.invalid` where it does not fit its surroundings any more. */
  async enable(identity: Identity, name: string): Promise<CircuitView> {
    const key = { organisation: identity.organisation, name }
    await this.#check(identity, (await this.get(identity, name)).document)
    const last = await this.#deps.spine.messages.last()
    return this.#change(identity, 'enabled', async tx => {
      const row = await lockCircuit(tx, key)
      if (!row) throw unknownCircuit(name)
      return { row: { ...row, state: 'enabled', seq: row.seq ?? last }, isChanged: row.state !== 'enabled' }
    })
  }

  /** Throws `circuit.unknown`. */
  async pause(identity: Identity, name: string): Promise<CircuitView> {
    const key = { organisation: identity.organisation, name }
    return this.#change(identity, 'paused', async tx => {
      const row = await lockCircuit(tx, key)
      if (!row) throw unknownCircuit(name)
      return { row: { ...row, state: 'paused' }, isChanged: row.state !== 'paused' }
    })
  }

  /** Throws `circuit.unknown`. */
  async delete(identity: Identity, name: string): Promise<{ circuit: string }> {
    const key = { organisation: identity.organisation, name }
    await this.#deps.db.transaction(async tx => {
      const row = await lockCircuit(tx, key)
      if (!row) throw unknownCircuit(name)
      await deleteCircuitRow(tx, key)
      await this.#note(tx, identity, { row, change: 'deleted' })
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
    const { operators } = this.#deps
    const [takers, circuits] = await Promise.all([operators.takers(identity.organisation), this.list(identity)])
    const others = circuits.filter(({ circuit, state }) => state === 'enabled' && circuit !== document.circuit)
    const unreadable = await this.#unreadable(identity.organisation, document)
    checkCircuit(document, { takers, others: others.map(other => other.document), unreadable })
  }

  async #unreadable(organisation: string, { edges }: CircuitDocument): Promise<Map<string, string>> {
    const texts = [...new Set(edges.flatMap(({ when, map }) => [when, map]).filter(text => text !== undefined))]
    const problems = await this.#deps.mappings.problems(organisation, texts)
    const wrong = texts.map((text, index) => [text, problems[index] ?? null] as const)
    return new Map(wrong.filter((one): one is readonly [string, string] => one[1] !== null))
  }

  async #version(key: CircuitKey, version: number): Promise<CircuitVersionRow> {
    const row = await findVersion(this.#deps.db.read, key, version)
    if (!row) throw new AppError('circuit.unknown', `There is no version ${version} of a circuit ${key.name}.`)
    return row
  }

  /** Makes it the circuit's newest version, unless that is so already. */
  async #declare(
    identity: Identity,
    key: CircuitKey,
    { document, restored }: { readonly document: string; readonly restored: number | null },
  ): Promise<CircuitView> {
    return this.#change(identity, restored === null ? 'declared' : 'rolled_back', async tx => {
      const known = await lockCircuit(tx, key)
      if (known?.document === document) return { row: known, isChanged: false }
      if (!known && (await selectCircuits(tx.sql, key.organisation)).length >= circuitsPerOrganisation)
        throw new AppError('circuit.invalid', `An organisation has at most ${circuitsPerOrganisation} circuits.`)
      const next = this.#next(identity, key, { known, document })
      const { version, changed_at: made_at, changed_by: made_by } = next
      await insertVersion(tx, { ...key, version, document, made_at, made_by, restored })
      await deleteVersions(tx, key, version - keptVersions)
      return { row: next, isChanged: true }
    })
  }

  #next(
    { subject }: Identity,
    key: CircuitKey,
    { known, document }: { readonly known: CircuitRow | undefined; readonly document: string },
  ): CircuitRow {
    if (known?.document === document) return known
    const counts = { handed_on: 0, held_back: 0, failed: 0, cut: 0, last_problem: null }
    return {
      ...(known ?? { ...key, ...counts, state: 'paused', seq: null }),
      document,
      changed_at: Math.round(this.#deps.now()),
      changed_by: subject,
      version: (known?.version ?? 0) + 1,
    }
  }

  async #note(
    tx: Tx,
    identity: Identity,
    { row, change }: { readonly row: CircuitRow; readonly change: CircuitChange },
  ): Promise<void> {
    const { organisation, name, version } = row
    const digest = createHash('sha256').update(row.document).digest('hex')
    await this.#deps.audit.note(tx, identity, { kind: 'circuit', name, change, version, digest })
    const changed = { organisation, circuit: name, version, by: identity.subject, change }
    tx.afterCommit(() => circuitChanged(this.#deps.log, changed))
  }

  async #change(
    identity: Identity,
    change: CircuitChange,
    decide: (tx: Tx) => Promise<{ readonly row: CircuitRow; readonly isChanged: boolean }>,
  ): Promise<CircuitView> {
    const row = await this.#deps.db.transaction(async tx => {
      const { row: changed, isChanged } = await decide(tx)
      if (!isChanged) return changed
      await putCircuitRow(tx, changed)
      await this.#note(tx, identity, { row: changed, change })
      await this.#deps.db.notify(tx, channel, '')
      return changed
    })
    await this.#settle()
    return viewOf((await findCircuit(this.#deps.db.read, row)) ?? row)
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
      if (!this.#runners.has(key))
        this.#runners.set(key, new CircuitRunner(row, readDocument(row.document), this.#deps))
  }
}

function keyOf({ organisation, name }: CircuitKey): string {
  return JSON.stringify([organisation, name])
}

function readDocument(text: string): CircuitDocument {
  // Only checked documents are written.
  return parseJson(text) as CircuitDocument
}

function viewOf(row: CircuitRow): CircuitView {
  return {
    circuit: row.name,
    version: row.version,
    state: row.state as CircuitView['state'],
    document: readDocument(row.document),
    changed_at: new Date(row.changed_at).toISOString(),
    changed_by: row.changed_by,
    seq: row.seq ?? 0,
    counts: { handed_on: row.handed_on, held_back: row.held_back, failed: row.failed, cut: row.cut },
    last_problem: row.last_problem,
  }
}

function versionView({ name, version, restored, made_at, made_by }: CircuitVersionRow): CircuitVersion {
  return { circuit: name, version, restored, made_at: new Date(made_at).toISOString(), made_by }
}

function unknownCircuit(name: string): AppError {
  return new AppError('circuit.unknown', `There is no circuit ${name}.`)
}
