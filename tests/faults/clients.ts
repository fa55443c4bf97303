import { sleep } from '@slipway/kit/abort'
import type { Client } from '@slipway/sdk/client'
import { asRunId } from '@slipway/sdk/ids'
import { echoPlan } from '../testbed/small-plans.ts'
import { attempt, type Attempt, type Fleet } from './fleet.ts'
import type { Ledger, LedgerRun, Role } from './ledger.ts'
import type { ModelWorld } from './model-world.ts'
import type { Random } from './random.ts'
import { chain, type StormPlan } from './storm-plans.ts'
import { watchRun } from './watcher.ts'

export interface ClientsOptions {
  readonly fleet: Fleet
  readonly world: ModelWorld
  readonly ledger: Ledger
  readonly random: Random
  readonly plans: readonly StormPlan[]
  /** Unfinished runs that are kept up. */
  readonly runs: number
  /** Ends what follows events. */
  readonly leave: AbortSignal
}

/** The people and programs that use the servers while these are being killed. */
export class Clients {
  readonly #options: ClientsOptions
  readonly #questions = new Map<string, string[]>()
  readonly #errands: Promise<void>[] = []
  #started = 0

  constructor(options: ClientsOptions) {
    this.#options = options
  }

  /** Uses the servers until `signal` aborts; resolves when all is said. */
  async work(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#keepStarting(signal), this.#keepAnswering(signal), this.#keepDeploying(signal)])
    await Promise.all(this.#errands)
  }

  /** Answers questions and lets paused runs go on until nothing is left to be done. */
  async settle(until: AbortSignal): Promise<void> {
    const { fleet, ledger } = this.#options
    while (ledger.unfinished().length > 0) {
      until.throwIfAborted()
      const client = await fleet.client(until)
      await this.#answerAll(client)
      const paused = await attempt(() => client.runs({ status: 'paused', limit: 500 }))
      if (paused.type === 'acknowledged')
        for (const { run_id: id } of paused.value.items) await attempt(() => client.resume(id))
      await sleep(50)
    }
  }

  async #keepStarting(signal: AbortSignal): Promise<void> {
    const { ledger, random, plans, runs } = this.#options
    while (!signal.aborted) {
      if (ledger.unfinished().length < runs) await this.#start(random.pick(plans), signal)
      await pause(random.between(5, 60), signal)
    }
  }

  async #start(plan: StormPlan, signal: AbortSignal): Promise<void> {
    const { fleet, world, ledger, random } = this.#options
    const slot = world.takeSlot(plan.answer)
    const name = `storm-${++this.#started}`
    const byKey = random.chance(0.5)
    const role = this.#role(plan)
    const body = { inputs: plan.inputs, agent: world.agentOf(slot) }
    if (byKey) {
      // Asked again until there is an answer: that must be about one and the same run.
      for (;;) {
        const started = await this.#try(signal, client => client.startRun(plan.id, { ...body, idempotency_key: name }))
        if (started === null) return
        if (started.type === 'refused') ledger.problems.push(`start of ${plan.id} was refused: ${started.message}`)
        if (started.type === 'unknown') continue
        if (started.type === 'refused') return
        ledger.keys.set(name, started.value.run_id)
        return this.#enter({ id: started.value.run_id, plan, slot, role }, signal)
      }
    }
    const client = await fleet.client(signal).catch(() => null)
    if (client === null) return
    const started = await attempt(() => client.startRun(plan.id, { ...body, run_id: asRunId(name) }))
    ledger.count(`start ${started.type}`)
    if (started.type === 'refused') ledger.problems.push(`start of ${plan.id} was refused: ${started.message}`)
    else if (started.type === 'acknowledged') this.#enter({ id: name, plan, slot, role }, signal)
    else this.#note({ id: name, plan, slot, role: 'plain' })
  }

  #role({ id }: StormPlan): Role {
    const { random } = this.#options
    if (random.chance(0.15)) return 'paused'
    if (random.chance(0.08)) return 'stopped'
    if (id !== 'chain') return 'plain'
    return random.pick(['plain', 'overridden', 'forked'])
  }

  #enter(run: NewRun, signal: AbortSignal): void {
    const { fleet, ledger, random, leave } = this.#options
    const { client } = random.pick(fleet.berths)
    const watcher = watchRun(client, run.id, { by: random.pick(['socket', 'stream']), signal: leave })
    const entered: LedgerRun = { ...run, isAcknowledged: true, watcher, answered: null, commandId: null }
    ledger.runs.push(entered)
    ledger.count(`run ${run.role}`)
    this.#errands.push(this.#errand(entered, signal))
  }

  #note(run: NewRun): void {
    this.#options.ledger.runs.push({ ...run, isAcknowledged: false, watcher: null, answered: null, commandId: null })
  }

  #errand(run: LedgerRun, signal: AbortSignal): Promise<void> {
    switch (run.role) {
      case 'plain':
        return Promise.resolve()
      case 'paused':
        return this.#pauseAndResume(run, signal)
      case 'stopped':
        return this.#stop(run, signal)
      case 'overridden':
        return this.#override(run, signal)
      case 'forked':
        return this.#fork(run, signal)
    }
  }

  async #pauseAndResume({ id, watcher }: LedgerRun, signal: AbortSignal): Promise<void> {
    const { random, ledger } = this.#options
    while (!signal.aborted && watcher?.isDone() === false) {
      await pause(random.between(100, 900), signal)
      const paused = await this.#try(signal, client => client.pause(id))
      ledger.count(`pause ${paused?.type ?? 'left'}`)
      await pause(random.between(0, 300), signal)
      const resumed = await this.#try(signal, client => client.resume(id))
      ledger.count(`resume ${resumed?.type ?? 'left'}`)
    }
  }

  async #stop(run: LedgerRun, signal: AbortSignal): Promise<void> {
    const { random, ledger } = this.#options
    await pause(random.between(20, 800), signal)
    const stopped = await this.#try(signal, client => client.stop(run.id, { reason: 'storm' }))
    run.answered = stopped?.type ?? null
    ledger.count(`stop ${run.answered ?? 'left'}`)
  }

  async #override(run: LedgerRun, signal: AbortSignal): Promise<void> {
    const { random, ledger } = this.#options
    await pause(random.between(20, 800), signal)
    const done = await this.#try(signal, client =>
      client.override(run.id, '{c0}', { value: 'other', rerunDependents: true }),
    )
    run.answered = done?.type ?? null
    ledger.count(`override ${run.answered ?? 'left'}`)
    if (done?.type === 'acknowledged') run.commandId = done.value.command.command_id
    if (done?.type === 'refused') ledger.problems.push(`override of ${run.id} was refused: ${done.message}`)
  }

  async #fork(run: LedgerRun, signal: AbortSignal): Promise<void> {
    const { random, ledger, world } = this.#options
    await pause(random.between(100, 1500), signal)
    const slot = world.takeSlot(run.plan.answer)
    const id = `${run.id}-fork`
    const forked = await this.#try(signal, client => client.fork(run.id, { run_id: id, agent: world.agentOf(slot) }))
    ledger.count(`fork ${forked?.type ?? 'left'}`)
    const fork: NewRun = { id, plan: run.plan, slot, role: 'plain' }
    if (forked?.type === 'acknowledged') this.#enter(fork, signal)
    else if (forked?.type === 'refused') ledger.problems.push(`fork of ${run.id} was refused: ${forked.message}`)
    else if (forked !== null) this.#note(fork)
  }

  async #keepAnswering(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const client = await this.#options.fleet.client(signal).catch(() => null)
      if (client) await this.#answerAll(client)
      await pause(30, signal)
    }
  }

  async #answerAll(client: Client): Promise<void> {
    const { ledger } = this.#options
    const open = await attempt(() => client.inputs())
    if (open.type !== 'acknowledged') return
    for (const question of open.value) {
      const { run_id: id, input_id: inputId } = question
      const plan = this.#planOf(id)
      if (plan === undefined) continue
      const asked = this.#questions.get(id) ?? []
      if (!asked.includes(inputId)) asked.push(inputId)
      this.#questions.set(id, asked)
      const answer = plan.say(question, asked.indexOf(inputId))
      const answered = await attempt(() => client.answer(inputId, answer as string))
      ledger.count(`answer ${answered.type}`)
    }
  }

  // Of a run that is there although nobody said so, too.
  #planOf(runId: string): StormPlan | undefined {
    return this.#options.ledger.runs.find(run => run.id === runId)?.plan
  }

  async #keepDeploying(signal: AbortSignal): Promise<void> {
    const { ledger, random } = this.#options
    for (let patch = 0; !signal.aborted; patch++) {
      const version = `1.0.${patch}`
      const deployed = await this.#try(signal, client => client.deploy(echoPlan('echo', { version })))
      ledger.count(`deploy ${deployed?.type ?? 'left'}`)
      if (deployed?.type === 'acknowledged') ledger.deployed.add(version)
      if (deployed?.type === 'refused') ledger.problems.push(`a deployment was refused: ${deployed.message}`)
      await pause(random.between(200, 1500), signal)
    }
  }

  /** Null when the storm is over before a server is there. */
  async #try<T>(signal: AbortSignal, work: (client: Client) => Promise<T>): Promise<Attempt<T> | null> {
    const client = await this.#options.fleet.client(signal).catch(() => null)
    return client && attempt(() => work(client))
  }
}

type NewRun = Pick<LedgerRun, 'id' | 'plan' | 'slot' | 'role'>

/** What a chain comes to whose start was overridden. */
export const otherChain = chain('other')

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, signal).catch(() => undefined)
}
