import { existsSync } from 'node:fs'
import type { RunEvent } from '@slipway/protocol/events'
import type { Database } from '@slipway/server/db/database'
import { readEvents } from '@slipway/server/features/events/event-store'

/**
 * What must hold in a database whatever has happened, at a moment at which no server works on it. Gives one sentence
 * per violation.
 */
export async function violations(db: Database): Promise<string[]> {
  const events = await readEvents(db.read, { organisation: 'default', runId: null, after: 0, limit: null })
  const found = await Promise.all([
    eventNumbers(db, events),
    journalNumbers(db),
    stepNumbers(db),
    endings(db),
    tellings(db, events),
    references(db),
    people(db),
  ])
  return found.flat()
}

/** Of a SQLite file: that it is whole. */
export async function fileViolations(file: string): Promise<string[]> {
  if (!existsSync(file)) return [`there is no ${file}`]
  const { DatabaseSync } = await import('node:sqlite')
  using db = new DatabaseSync(file)
  const rows = db.prepare('pragma integrity_check').all()
  return rows.map(row => String(row['integrity_check'])).filter(line => line !== 'ok')
}

/** Ids of all events are 1 to the counter; numbers within a run are 1 to its last one and rise with the ids. */
async function eventNumbers(db: Database, events: readonly RunEvent[]): Promise<string[]> {
  const found: string[] = []
  const counter = await db.read.selectFrom('event_counter').select('last').executeTakeFirst()
  const last = new Map<string, number>()
  for (const [index, { id, run_id: runId, seq }] of events.entries()) {
    if (id !== index + 1) found.push(`event ${id} is the ${index + 1}th of all`)
    if (runId === null) continue
    const expected = (last.get(runId) ?? 0) + 1
    if (seq !== expected) found.push(`run ${runId} has event ${seq} where ${expected} is next`)
    last.set(runId, seq)
  }
  if (Number(counter?.last ?? 0) !== events.length) found.push(`${events.length} events, counted as ${counter?.last}`)
  for (const { id, seq } of await db.read.selectFrom('run').select(['id', 'seq']).execute()) {
    if (Number(seq) !== (last.get(id) ?? 0)) found.push(`run ${id} stands at event ${seq}, but has ${last.get(id)}`)
  }
  return found
}

/** Answered calls and applied commands share the numbers 1 to the run's count; no call is answered twice. */
async function journalNumbers(db: Database): Promise<string[]> {
  const found: string[] = []
  const calls = await db.read.selectFrom('run_call').select(['run_id', 'n', 'key']).execute()
  const commands = await db.read
    .selectFrom('run_command')
    .select(['run_id', 'n', 'applied_at', 'refusal', 'id'])
    .execute()
  for (const { id, entries } of await db.read.selectFrom('run').select(['id', 'entries']).execute()) {
    const ofRun = calls.filter(call => call.run_id === id)
    const applied = commands.filter(command => command.run_id === id && command.n !== null)
    const numbers = [...ofRun, ...applied].map(({ n }) => Number(n)).sort((a, b) => a - b)
    if (numbers.length !== Number(entries) || numbers.some((n, index) => n !== index + 1))
      found.push(`run ${id} counts ${entries} entries and has ${numbers.join(' ')}`)
    if (new Set(ofRun.map(({ key }) => key)).size !== ofRun.length) found.push(`run ${id} has two outcomes of a call`)
  }
  for (const { id, run_id: runId, n, applied_at: appliedAt, refusal } of commands) {
    if ((n !== null) !== (appliedAt !== null && refusal === null))
      found.push(`command ${id} of run ${runId} has number ${n}, time ${appliedAt} and refusal ${refusal}`)
  }
  return found
}

/** Records of a run are numbered up to its count, from where it began. */
async function stepNumbers(db: Database): Promise<string[]> {
  const found: string[] = []
  const steps = await db.read.selectFrom('run_step').select(['run_id', 'n']).orderBy('n').execute()
  const runs = await db.read.selectFrom('run').select(['id', 'records', 'forked_from']).execute()
  for (const { id, records, forked_from: source } of runs) {
    const numbers = steps.filter(step => step.run_id === id).map(({ n }) => Number(n))
    const first = source === null ? 1 : Number(records) - numbers.length + 1
    if (first + numbers.length - 1 !== Number(records) || numbers.some((n, index) => n !== first + index))
      found.push(`run ${id} counts ${records} records and has ${numbers.join(' ')}`)
  }
  return found
}

const over = ['completed', 'failed']

/** A run that is over has an end, a result and nothing that waits; one that is not has no end. */
async function endings(db: Database): Promise<string[]> {
  const found: string[] = []
  const snapshots = new Set(
    (await db.read.selectFrom('run_snapshot').select('run_id').execute()).map(row => row.run_id),
  )
  const contents = await db.read.selectFrom('run_content').select(['run_id', 'result']).execute()
  const results = new Map(contents.map(({ run_id: id, result }) => [id, result]))
  const waiting = await db.read.selectFrom('run_command').select('run_id').where('applied_at', 'is', null).execute()
  const waits = new Set(waiting.map(row => row.run_id))
  for (const run of await db.read.selectFrom('run').selectAll().execute()) {
    const isOver = over.includes(run.status)
    const say = (what: string): number => found.push(`run ${run.id} is ${run.status} and ${what}`)
    if (!results.has(run.id)) say('has no content')
    if (isOver !== (run.completed_at !== null)) say(`ended at ${run.completed_at}`)
    if ((run.status === 'failed') !== (run.error !== null)) say(`has the error ${run.error}`)
    if (!isOver) continue
    if (run.owner !== null || run.lease_until !== null) say('has a lease')
    if (snapshots.has(run.id)) say('has a snapshot')
    if (results.get(run.id) == null) say('has no result')
    if (waits.has(run.id)) say('has a command that waits')
  }
  return found
}

/** What a run tells of itself is so: one start, the end that it has, each call and step ended as often as it says. */
async function tellings(db: Database, events: readonly RunEvent[]): Promise<string[]> {
  const found: string[] = []
  const calls = await db.read.selectFrom('run_call').select(['run_id', 'key', 'type']).execute()
  const applied = await db.read.selectFrom('run_command').select('run_id').where('n', 'is not', null).execute()
  for (const { id, status } of await db.read.selectFrom('run').select(['id', 'status']).execute()) {
    const ofRun = events.filter(event => event.run_id === id)
    const count = (name: string): number => ofRun.filter(({ event }) => event === name).length
    if (count('run:queued') !== 1 || count('run:started') > 1) found.push(`run ${id} tells of several starts`)
    if (over.includes(status) && ofRun.at(-1)?.event !== `run:${status}`)
      found.push(`run ${id} is ${status} and tells of ${ofRun.at(-1)?.event} last`)
    // Only what people ask for makes a run that is over go on.
    const ends = count('run:completed') + count('run:failed')
    const commands = applied.filter(row => row.run_id === id).length
    if (ends > 1 + commands) found.push(`run ${id} tells of ${ends} ends, with ${commands} commands`)
    const ended = ofRun
      .filter(({ event }) => /^(llm|tool):call_(completed|failed)$/.test(event))
      .map(event => String(event['key']))
    const answered = calls.filter(call => call.run_id === id && /^(model|script)\./.test(call.type))
    const [told, kept] = [ended, answered.map(({ key }) => key)].map(keys => keys.sort().join(' '))
    if (told !== kept) found.push(`run ${id} tells of the ends of the calls ${told}, and has ${kept}`)
  }
  return found
}

/** Every value that is referred to is there. */
async function references(db: Database): Promise<string[]> {
  const values = await db.read.selectFrom('run_value').select(['family', 'hash']).execute()
  const known = new Set(values.map(({ family, hash }) => `${family} ${hash}`))
  const runs = await db.read.selectFrom('run').select(['id', 'family']).execute()
  const family = new Map(runs.map(run => [run.id, run.family]))
  const calls = await db.read.selectFrom('run_call').select(['run_id', 'inputs', 'outcome']).execute()
  const steps = await db.read.selectFrom('run_step').select(['run_id', 'record']).execute()
  const commands = await db.read.selectFrom('run_command').select(['run_id', 'command']).execute()
  const snapshots = await db.read.selectFrom('run_snapshot').select(['run_id', 'data']).execute()
  const contents = await db.read.selectFrom('run_content').select(['run_id', 'origin']).execute()
  const texts = [
    ...calls.flatMap(call => [call.inputs, call.outcome].map(text => [call.run_id, text] as const)),
    ...steps.map(step => [step.run_id, step.record] as const),
    ...commands.map(command => [command.run_id, command.command] as const),
    ...snapshots.map(snapshot => [snapshot.run_id, snapshot.data] as const),
    ...contents.map(content => [content.run_id, content.origin ?? ''] as const),
  ]
  return texts.flatMap(([runId, text]) =>
    hashesIn(text)
      .filter(hash => !known.has(`${family.get(runId)} ${hash}`))
      .map(hash => `run ${runId} refers to the value ${hash}, which is not there`),
  )
}

function hashesIn(text: string): string[] {
  if (text.startsWith('#')) return [text.slice(1)]
  return [...text.matchAll(/\{"#":"([A-Za-z0-9_-]{43})"\}/g)].map(([, hash = '']) => hash)
}

/** Each question was asked once, in a run that is there. */
async function people(db: Database): Promise<string[]> {
  const inputs = await db.read.selectFrom('run_input').select(['id', 'run_id', 'key']).execute()
  const runs = new Set((await db.read.selectFrom('run').select('id').execute()).map(({ id }) => id))
  const found = inputs
    .filter(({ run_id: runId }) => !runs.has(runId))
    .map(({ id, run_id: runId }) => `question ${id} is of the run ${runId}, which is not there`)
  const keys = inputs.map(({ run_id: runId, key }) => `${runId} ${key}`)
  if (new Set(keys).size !== keys.length) found.push('a question was asked twice')
  return found
}
