import type { RunEvent } from '@slipway/protocol/events'
import type { TraceCall } from '@slipway/protocol/runs'
import type { Client } from '@slipway/sdk/client'
import { attempt } from './fleet.ts'
import type { Ledger, LedgerRun } from './ledger.ts'
import type { Mark } from './marks.ts'
import type { AskedPrompt } from './model-world.ts'
import { outcomeOf } from './outcome.ts'
import type { Watcher } from './watcher.ts'

export interface Evidence {
  readonly client: Client
  readonly ledger: Ledger
  /** What undisturbed runs came to, by plan. */
  readonly expected: ReadonlyMap<string, string>
  readonly marks: readonly Mark[]
  readonly asked: readonly AskedPrompt[]
  /** Watchers of all events, from the first on. */
  readonly everything: readonly Watcher[]
}

/** What was promised to clients and is not so, a sentence each. */
export async function brokenPromises(evidence: Evidence): Promise<string[]> {
  const { client, ledger } = evidence
  const problems = [...ledger.problems]
  for (const run of ledger.runs) {
    const found = await attempt(() => client.run(run.id))
    if (found.type !== 'acknowledged') {
      if (run.isAcknowledged) problems.push(`run ${run.id} was acknowledged and is not there`)
      continue
    }
    problems.push(...(await endProblems(run, evidence)))
    const calls = await traceOf(client, run.id)
    problems.push(...askedAgain(run, { calls, evidence }), ...untoldRepetitions(run, { calls, evidence }))
    if (run.watcher) problems.push(...(await watcherProblems(run, run.watcher, evidence)))
    problems.push(...(await commandProblems(run, client)))
  }
  return [...problems, ...(await keyProblems(evidence)), ...(await deployProblems(evidence)), ...idProblems(evidence)]
}

async function endProblems(run: LedgerRun, { client, expected }: Evidence): Promise<string[]> {
  const whole = expected.get(run.plan.id) ?? ''
  const outcome = await attempt(() => outcomeOf(client, run.id))
  if (outcome.type !== 'acknowledged')
    return [`run ${run.id} (${run.plan.id}) has no result: ${JSON.stringify(outcome)}`]
  const is = outcome.value
  const isStopped = is.startsWith('{"status":"failed","reason":"cancelled"')
  const isOther = is === expected.get('other')
  const { role, answered } = run
  const isRight =
    answered === 'acknowledged'
      ? role === 'stopped'
        ? isStopped
        : isOther
      : is === whole || (answered === 'unknown' && (role === 'stopped' ? isStopped : isOther))
  return isRight ? [] : [`run ${run.id} (${run.plan.id}, ${role}, ${answered}) ended with ${is} instead of ${whole}`]
}

interface Made {
  readonly calls: readonly TraceCall[]
  readonly evidence: Evidence
}

/**
 * Between two marks a call can have been made once by whoever drove the run, and only if it had no outcome on disk at
 * the first of them.
 */
function askedAgain(run: LedgerRun, { calls, evidence: { asked, marks } }: Made): string[] {
  // An override gives up calls that were made, and a stop those under way.
  if (run.role === 'overridden' || run.role === 'stopped') return []
  const places = new Map<string, number[]>()
  for (const { type, n, inputs } of calls) {
    if (type !== 'model.generate') continue
    const { prompt } = inputs as { readonly prompt: string }
    places.set(prompt, [...(places.get(prompt) ?? []), n])
  }
  const counts = new Map<string, number>()
  for (const { slot, era, prompt } of asked)
    if (slot === run.slot) counts.set(`${era} ${prompt}`, (counts.get(`${era} ${prompt}`) ?? 0) + 1)
  return [...counts].flatMap(([key, count]) => {
    const space = key.indexOf(' ')
    const [era, prompt] = [Number(key.slice(0, space)), key.slice(space + 1)]
    const answered = marks[era - 1]?.entries.get(run.id) ?? 0
    const open = (places.get(prompt) ?? []).filter(n => n > answered).length
    const drives = 1 + leaseAt(marks[era], run.id) - leaseAt(marks[era - 1], run.id)
    const most = open * (Number.isFinite(drives) ? Math.max(1, drives) : Number.POSITIVE_INFINITY)
    if (count <= most) return []
    return [`run ${run.id} (${run.plan.id}) asked ${count} times after mark ${era}, with ${most} calls open: ${prompt}`]
  })
}

function leaseAt(mark: Mark | undefined, runId: string): number {
  return mark === undefined ? Number.POSITIVE_INFINITY : (mark.leases.get(runId) ?? 0)
}

/** A call that had begun, as the events of the run say, when its server was killed says that it was made again. */
function untoldRepetitions(run: LedgerRun, { calls, evidence: { marks } }: Made): string[] {
  const events = run.watcher?.seen ?? []
  const begun = events.filter(({ event }) => event === 'llm:call_started' || event === 'tool:call_started')
  return calls
    .filter(call => !call.repeated)
    .flatMap(({ key, n }) => {
      const starts = begun.filter(event => event['key'] === key)
      const cut = marks.findIndex(
        mark =>
          mark.orphans.has(run.id) &&
          n > (mark.entries.get(run.id) ?? 0) &&
          starts.some(({ id }) => id <= mark.lastEvent),
      )
      return cut === -1
        ? []
        : [`call ${key} of run ${run.id} was under way at mark ${cut + 1} and is not marked as repeated`]
    })
}

async function traceOf(client: Client, runId: string): Promise<TraceCall[]> {
  const calls: TraceCall[] = []
  for (let after: string | null = '0'; after !== null;) {
    const page = await client.trace(runId, { limit: '1000', after })
    calls.push(...page.items)
    after = page.next
  }
  return calls
}

async function watcherProblems(run: LedgerRun, watcher: Watcher, { everything }: Evidence): Promise<string[]> {
  try {
    await watcher.done
  } catch (error) {
    return [`whoever watched run ${run.id} was sent away: ${String(error)}`]
  }
  const problems = watcher.seen
    .filter(({ seq }, index) => seq !== index + 1)
    .map(({ seq }) => `whoever watched run ${run.id} got event ${seq} out of its order`)
  // A run that was changed after its end goes on without those who had left.
  if (run.role === 'overridden') return problems
  const all = everything[0]?.seen.filter(event => event.run_id === run.id) ?? []
  if (shown(all) !== shown(watcher.seen)) problems.push(`watchers of run ${run.id} have seen different events`)
  return problems
}

function shown(events: readonly RunEvent[]): string {
  return JSON.stringify(events)
}

async function commandProblems(run: LedgerRun, client: Client): Promise<string[]> {
  const commands = await client.commands(run.id)
  const type = run.role === 'overridden' ? 'override' : run.role === 'stopped' ? 'cancel' : null
  if (type === null) return []
  const [only, ...others] = commands.filter(command => command.type === type)
  if (others.length > 0) return [`run ${run.id} has ${others.length + 1} commands for one request`]
  if (run.answered !== 'acknowledged') return []
  const isApplied = only?.status === 'applied' && (run.commandId === null || only.command_id === run.commandId)
  return isApplied ? [] : [`the acknowledged command of run ${run.id} is ${only?.status ?? 'not there'}`]
}

/** The same request under the same key is about the same run, also now. */
async function keyProblems({ client, ledger }: Evidence): Promise<string[]> {
  const listed: string[] = []
  for (let after: string | undefined; ;) {
    const page = await client.runs({ limit: '500', ...(after !== undefined && { after }) })
    listed.push(...page.items.map(run => run.run_id))
    if (page.next === null) break
    after = page.next
  }
  const known = new Set(ledger.runs.map(({ id }) => id))
  const problems = new Set(listed).size === listed.length ? [] : ['a run is listed twice']
  for (const [key, id] of ledger.keys) if (!listed.includes(id)) problems.push(`the run of key ${key} is not listed`)
  if (ledger.runs.some(({ isAcknowledged, id }) => isAcknowledged && !listed.includes(id)))
    problems.push('an acknowledged run is not listed')
  return known.size === ledger.runs.length ? problems : [...problems, 'two starts gave the same run']
}

async function deployProblems({ client, ledger }: Evidence): Promise<string[]> {
  const problems: string[] = []
  for (const version of ledger.deployed) {
    const started = await attempt(() => client.startRun('echo', { version, inputs: { spoken_word: version } }))
    if (started.type !== 'acknowledged') problems.push(`the acknowledged version ${version} cannot be run`)
  }
  return problems
}

/** Numbers of all events rise by one, whoever shows them. */
function idProblems({ everything }: Evidence): string[] {
  return everything.flatMap(({ seen }, at) =>
    seen
      .filter(({ id }, index) => id !== index + 1)
      .slice(0, 3)
      .map(({ id }) => `server ${at} showed event ${id} out of its order`),
  )
}
