import { packPlan } from '@slipway/engine/plan/pack'
import type { RunId } from '@slipway/protocol/runs'
import { sql } from 'kysely'
import { pino } from 'pino'
import { expect, test } from 'vitest'
import { testServer } from '#app/testing'
import type { Database } from '#db/database'

async function pragma(db: Database, text: string): Promise<number> {
  const { rows } = await sql.raw<Record<string, number>>(`pragma ${text}`).execute(db.read)
  return Object.values(rows[0] ?? {})[0] ?? 0
}

/** Model calls one after the other; each writes its prompt into the journal. */
function chain(length: number): Uint8Array {
  const value = (n: number) => ({
    concept_name: `{c${n}}`,
    type: '{}',
    is_ground_concept: n === 0,
    is_final_concept: n === length,
    reference_data: n === 0 ? ['start'] : null,
  })
  const fn = {
    concept_name: '::(ask)',
    type: '({})',
    is_ground_concept: true,
    reference_data: ['%{prompt_location}abc(provisions/prompts/ask.md)'],
    reference_axis_names: ['_none_axis'],
  }
  const step = (n: number) => ({
    inference_sequence: 'imperative_in_composition',
    concept_to_infer: `{c${n}}`,
    function_concept: '::(ask)',
    value_concepts: [`{c${n - 1}}`],
    flow_info: { flow_index: `1.${n}` },
    working_interpretation: {
      paradigm: 'v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal',
      value_order: { [`{c${n - 1}}`]: 1 },
    },
  })
  const places = Array.from({ length: length + 1 }, (_, n) => n)
  const files = {
    'manifest.json': {
      name: 'chain',
      version: '1',
      entry: { concepts: 'concept_repo.json', inferences: 'inference_repo.json' },
    },
    'concept_repo.json': [...places.map(value), fn],
    'inference_repo.json': places.slice(1).map(step),
    'provisions/prompts/ask.md': `${'Go on. '.repeat(2000)}$input_1`,
  }
  const text = (content: unknown): string => (typeof content === 'string' ? content : JSON.stringify(content))
  return packPlan(
    new Map(Object.entries(files).map(([path, content]) => [path, new TextEncoder().encode(text(content))])),
  )
}

test('[RUN-25] a run goes on by itself once the database can be written again', async () => {
  let calls = 0
  const generate = () => {
    calls++
    const text = JSON.stringify({ result: `answer ${calls}` })
    return Promise.resolve({ text, model: 'm', provider: 'p', inputTokens: 1, outputTokens: 1, attempts: 1 })
  }
  const models = { defaultAgent: 'demo', has: () => true, agents: () => [], generate }
  const lines: string[] = []
  const log = pino({ level: 'error' }, { write: line => lines.push(line) })
  await using server = await testServer({}, { replace: { models, log } })
  const { db, runs } = server.context
  await fetch(`${server.url}/api/plans/deploy`, {
    method: 'POST',
    headers: { 'content-type': 'application/zip' },
    body: Buffer.from(chain(12)),
  })
  const most = await pragma(db, 'max_page_count')
  await pragma(db, `max_page_count = ${(await pragma(db, 'page_count')) + 25}`)
  const started = await fetch(`${server.url}/api/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ plan_id: 'chain' }),
  })
  const { run_id: id } = (await started.json()) as { run_id: RunId }
  const run = { by: { organisation: 'default', subject: 'test' }, runId: id }
  await expect.poll(() => lines.join(''), { timeout: 20_000 }).toContain('run not written')
  expect((await runs.get(run)).status).toBe('running')
  await pragma(db, `max_page_count = ${most}`)
  await expect.poll(async () => (await runs.get(run)).status, { timeout: 20_000 }).toBe('completed')
  const { calls: trace } = await runs.trace(run, { after: 0, limit: 1000 })
  expect(trace.map(call => call.n)).toEqual(trace.map((_, index) => index + 1))
  expect(new Set(trace.map(call => call.key)).size).toBe(trace.length)
  const events = await server.context.events.read({ organisation: 'default', runId: id }, { after: 0, limit: 1000 })
  expect(events.map(event => event.seq)).toEqual(events.map((_, index) => index + 1))
  expect(events.filter(event => event.event === 'inference:completed')).toHaveLength(12)
})
