import { eventNames, type RunEvent } from '@slipway/protocol/events'
import { expect, test } from 'vitest'
import { toLogLine } from './run-logs.ts'

function event(name: RunEvent['event'], data: object = {}): RunEvent {
  return { ...data, event: name, id: 9, seq: 4, run_id: 'r', ts: 0 } as RunEvent
}

test('[RUN-67] a line says in words what happened to which step', () => {
  const error = { path: 'cells[1]', name: 'ValueError', message: 'no digit' }
  const about = { flow_index: '1.2', execution: 3 }
  expect(toLogLine(event('inference:failed', { ...about, error }))).toEqual({
    seq: 4,
    level: 'error',
    flow_index: '1.2',
    message: 'Step 1.2 (execution 3) failed: ValueError: no digit',
    at: '1970-01-01T00:00:00.000Z',
  })
  expect(toLogLine(event('inference:error', { ...about, error }))).toMatchObject({
    level: 'warning',
    message: 'Step 1.2 (execution 3) went on without cells[1]: ValueError: no digit',
  })
  expect(toLogLine(event('inference:completed', { ...about, detail: 'condition_not_met', errors: [] }))).toMatchObject({
    level: 'info',
    message: 'Step 1.2 (execution 3) completed (condition not met).',
  })
  expect(toLogLine(event('inference:completed', { ...about, detail: 'success', errors: [error] }))).toMatchObject({
    level: 'warning',
  })
})

test('[RUN-67] why a run failed is said with the steps that are open', () => {
  const stuck = [{ flow_index: '1.4', concept_name: '{x}', why: 'waits for {y}' }]
  const failed = event('run:failed', { error: { reason: 'deadlock', message: 'No step can start.', stuck } })
  expect(toLogLine(failed)).toMatchObject({
    level: 'error',
    flow_index: null,
    message: 'Failed (deadlock): No step can start. Open: 1.4 waits for {y}.',
  })
})

test('[RUN-67] events that only count make no line, and no other is without words', () => {
  const silent = eventNames.filter(name => toLogLine(event(name)) === null)
  expect(silent).toEqual(['node:statuses', 'cycle:completed', 'execution:progress', 'plan:deployed', 'plan:deleted'])
})

test('[RUN-67] a long text is cut in a line', () => {
  const line = toLogLine(event('chat:message', { role: 'user', content: 'x'.repeat(10_000) }))
  expect(line?.message.length).toBeLessThan(600)
})
