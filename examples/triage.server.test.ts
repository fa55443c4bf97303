import { afterAll, beforeAll, expect, test } from 'vitest'
import { demoInputs, openExample, type ExampleBed } from './testbed.ts'

let bed: ExampleBed
beforeAll(async () => {
  bed = await openExample('triage')
})
afterAll(() => bed[Symbol.asyncDispose]())

const urgent = 'Our team is locked out and the whole shop is down. Please help immediately!'

test('[EXAMPLE-3] its folder deploys and runs with its demo inputs', async () => {
  const { run, answer } = await bed.run('triage', await demoInputs('triage'))
  expect(run).toMatchObject({ status: 'completed', error: null })
  expect(answer).toMatchObject({ category: 'billing', urgent: false, log: 'billing,not urgent' })
})

test.each([
  ['Hi, is it possible to export my contacts as CSV? No hurry.', 'question', /^Answer from the message alone/],
  ['Thanks for the great product, I love the new dashboard!', 'other', /^Thank the customer and say/],
])('[EXAMPLE-12] nobody is asked about %j', async (message, category, instruction) => {
  const { run, answer, questions } = await bed.run('triage', { message })
  expect(run.status).toBe('completed')
  expect(questions).toEqual([])
  expect(run.node_statuses).toMatchObject({ '1.4.2': 'skipped', '1.4.3': 'completed' })
  expect(answer).toMatchObject({ category, urgent: false, instruction: expect.stringMatching(instruction) as string })
})

test('[EXAMPLE-13] an urgent message waits for a person, whose answer becomes the instruction', async () => {
  const decision = 'Promise a call back within 15 minutes.'
  const { run, answer, questions, trace } = await bed.run('triage', { message: urgent }, { onQuestion: () => decision })
  expect(run.status).toBe('completed')
  expect(questions).toMatchObject([{ type: 'simple_text', prompt: expect.stringContaining(urgent) as string }])
  expect(run.node_statuses).toMatchObject({ '1.4.2': 'completed', '1.4.3': 'skipped' })
  expect(answer).toMatchObject({ category: 'access', urgent: true, instruction: decision, log: 'access,urgent' })
  const reply = trace.find(call => call.flow_index === '1.5' && call.type === 'model.generate')
  expect(JSON.stringify(reply?.inputs)).toContain(decision)
})

test('[EXAMPLE-14] the case is logged after its reply was drafted', async () => {
  const { run, result, trace } = await bed.run('triage', { message: urgent }, { onQuestion: () => 'Call them.' })
  const reply = trace.find(call => call.flow_index === '1.5' && call.type === 'model.generate')
  const log = trace.find(call => call.flow_index === '1.6' && call.type === 'script.call')
  expect(log && reply && log.n > reply.n && log.started_at >= reply.finished_at).toBe(true)
  expect(result.files.map(file => file.path)).toEqual(['log/cases.csv'])
  const text = new TextDecoder().decode(await bed.client.runFile(run.run_id, 'log/cases.csv'))
  expect(text).toBe('category,urgency\naccess,urgent\n')
})
