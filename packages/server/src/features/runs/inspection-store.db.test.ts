import { expect, test } from 'vitest'
import { onDatabases } from '#db/testing'
import { countSteps, selectAskedCalls, sumCalls } from './inspection-store.ts'
import type { CallRow, StepRow } from './journal-store.ts'
import { insertRun } from './run-store.ts'
import { newRun } from './testing.ts'

function call(n: number, over: Partial<CallRow> = {}): CallRow {
  return {
    run_id: 'a',
    n,
    key: `1#${n}/0`,
    flow_index: '1',
    concept_name: '{x}',
    type: 'model.generate',
    inputs: `{"prompt":"${n}"}`,
    outcome: '{"value":null}',
    size: 1,
    files: '[]',
    started_at: 1000.5,
    finished_at: 1003,
    agent: null,
    provider: null,
    model: null,
    input_tokens: 7,
    output_tokens: null,
    attempts: 1,
    repeated: 0,
    ...over,
  }
}

function step(n: number, kind = 'step'): StepRow {
  return { run_id: 'a', n, at: n, kind, cycle: 1, flow_index: kind === 'step' ? '1' : null, record: '{}' }
}

onDatabases('inspection store', databases => {
  test('[RUN-73] calls and steps of a run are counted as numbers, and nothing costs nothing', async () => {
    await using db = await databases.open()
    await db.transaction(async tx => {
      await insertRun(tx, newRun('a'), { run_id: 'a', inputs: '{}', origin: null, node_statuses: '{}', result: null })
      const clockWentBack = { type: 'script.call', input_tokens: null, finished_at: 900 }
      await tx.insertAll('run_call', [call(1), call(2, { output_tokens: 5 }), call(3, clockWentBack)])
      await tx.insertAll('run_step', [step(1), step(2, 'command'), step(3), step(4)])
    })
    expect(await sumCalls(db.read, 'a')).toEqual({
      calls: 3,
      model_calls: 2,
      input_tokens: 14,
      output_tokens: 5,
      call_ms: 5,
    })
    expect(await sumCalls(db.read, 'b')).toEqual({
      calls: 0,
      model_calls: 0,
      input_tokens: 0,
      output_tokens: 0,
      call_ms: 0,
    })
    expect(await countSteps(db.read, 'a', { after: 0, until: 4 })).toBe(3)
    expect(await countSteps(db.read, 'a', { after: 1, until: 3 })).toBe(1)
    expect((await selectAskedCalls(db.read, 'a', { after: 1, limit: 1 })).map(({ key }) => key)).toEqual(['1#2/0'])
  })
})
