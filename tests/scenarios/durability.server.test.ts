import { orAbort } from '@slipway/kit/abort'
import { api } from '@slipway/protocol/api'
import type { RunState } from '@slipway/protocol/runs'
import { createClient } from '@slipway/sdk/client'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { expect, test } from 'vitest'
import { openBed, type Bed } from '../testbed/bed.ts'
import { startChildServer } from '../testbed/child-server.ts'
import { scriptedModel } from '../testbed/scripted-model.ts'
import { chainPlan, loopPlan, scriptPlan } from '../testbed/small-plans.ts'

async function at(bed: Bed, runId: string, status: RunState): Promise<void> {
  await expect.poll(async () => (await bed.client.run(runId)).status, { timeout: 30_000 }).toBe(status)
}

test('[RUN-29] a value is on disk once, however often it is written, also for forks', async () => {
  const long = 'a value that is long enough to be kept by its content '.repeat(40)
  await using bed = await openBed({ replace: { models: scriptedModel(() => long).models } })
  await bed.client.deploy(chainPlan('chain', 4))
  const { run_id: runId } = await bed.client.startRun('chain', { inputs: { c0: 'x' } })
  await at(bed, runId, 'completed')
  const { read } = bed.server.context.db
  const values = () => read.selectFrom('run_value').selectAll().where('family', '=', runId).execute()
  const outcomes = () => read.selectFrom('run_call').select('outcome').where('type', '=', 'model.generate').execute()
  const answers = async () => (await values()).filter(({ data }) => data.startsWith('{"value"'))
  // Four calls had the same answer; it is there once, and the calls name it by its hash.
  expect(await answers()).toHaveLength(1)
  expect(new Set((await outcomes()).map(({ outcome }) => outcome))).toEqual(new Set([`#${(await answers())[0]?.hash}`]))
  const steps = await read.selectFrom('run_step').select('record').where('run_id', '=', runId).execute()
  expect(steps.every(({ record }) => !record.includes(long.trim()))).toBe(true)
  const fork = await bed.client.call(api.forkCheckpoint, { params: { run_id: runId }, body: { step: 2 } })
  await at(bed, fork.run_id, 'completed')
  expect((await bed.client.result(fork.run_id)).final_concepts[0]?.value).toBe(long)
  expect(await outcomes()).toHaveLength(6)
  expect(await answers()).toHaveLength(1)
  const all = await values()
  expect(new Set(all.map(({ data }) => data)).size).toBe(all.length)
})

test('[RUN-30] a run goes on from its snapshot as from its beginning, and snapshots cost no more than the journal', async () => {
  await using folder = await temporaryDataFolder()
  const data = Array.from({ length: 400 }, (_, index) => `element number ${index}`)
  const inputs = { items: { data, axes: ['item'] } }
  let expected: unknown
  {
    await using bed = await openBed({ replace: { models: scriptedModel(prompt => prompt.length).models } })
    await bed.client.deploy(loopPlan('loop'))
    const { run_id: runId } = await bed.client.startRun('loop', { inputs })
    await at(bed, runId, 'completed')
    expected = (await bed.client.result(runId)).final_concepts.map(final => final.value)
  }
  let runId = ''
  {
    // Answers 300 times, and from then on never.
    const { models, prompts } = scriptedModel(prompt => prompt.length)
    const { promise: never } = Promise.withResolvers<never>()
    const generate: typeof models.generate = request =>
      prompts.length < 300 ? models.generate(request) : orAbort(never, request.signal)
    await using bed = await openBed({ dataDir: folder.path, replace: { models: { ...models, generate } } })
    await bed.client.deploy(loopPlan('loop'))
    runId = (await bed.client.startRun('loop', { inputs })).run_id
    await expect.poll(() => prompts.length, { timeout: 60_000 }).toBe(300)
    const { read } = bed.server.context.db
    const snapshots = () => read.selectFrom('run_snapshot').selectAll().where('run_id', '=', runId).execute()
    await expect.poll(async () => (await snapshots())[0]?.entries ?? 0).toBeGreaterThan(50)
  }
  const { models, prompts } = scriptedModel(prompt => prompt.length)
  await using bed = await openBed({ dataDir: folder.path, replace: { models } })
  await at(bed, runId, 'completed')
  expect((await bed.client.result(runId)).final_concepts.map(final => final.value)).toEqual(expected)
  expect(prompts).toHaveLength(100)
  const events = await bed.events(runId)
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
  expect(await bed.server.context.db.read.selectFrom('run_snapshot').selectAll().execute()).toEqual([])
})

test('[RUN-30] a long run has snapshots also within a cycle', async () => {
  const { models, prompts } = scriptedModel(() => 'said')
  const { promise: never } = Promise.withResolvers<never>()
  const generate: typeof models.generate = request =>
    prompts.length < 1_200 ? models.generate(request) : orAbort(never, request.signal)
  await using bed = await openBed({ replace: { models: { ...models, generate } } })
  await bed.client.deploy(chainPlan('chain', 1_300))
  const { run_id: runId } = await bed.client.startRun('chain', { inputs: { c0: 'x' } })
  await expect.poll(() => prompts.length, { timeout: 60_000 }).toBe(1_200)
  expect((await bed.client.run(runId)).progress.cycle_count).toBe(1)
  const { read } = bed.server.context.db
  const snapshots = () => read.selectFrom('run_snapshot').select('entries').where('run_id', '=', runId).execute()
  await expect.poll(async () => (await snapshots())[0]?.entries ?? 0).toBeGreaterThan(500)
})

test('[RUN-31] a call that was under way when the server died is made again, and says so', async () => {
  await using folder = await temporaryDataFolder()
  const { runId } = await killedDuringScript(folder.path, {})
  await using bed = await openBed({ dataDir: folder.path })
  await at(bed, runId, 'completed')
  const calls = (await bed.client.trace(runId, { type: 'script.call' })).items
  expect(calls.map(({ repeated }) => repeated)).toEqual([true])
  const recovered = (await bed.events(runId)).find(({ event }) => event === 'run:recovered')
  expect(recovered?.['repeated_calls']).toEqual([calls[0]?.key])
})

test('[RUN-32] a call that must not be repeated waits for a person to decide', async () => {
  for (const answer of [true, false]) {
    await using folder = await temporaryDataFolder()
    const { runId } = await killedDuringScript(folder.path, { not_repeatable: true })
    await using bed = await openBed({ dataDir: folder.path })
    await at(bed, runId, 'waiting')
    const [input] = await bed.client.inputs({ runId })
    expect(input).toMatchObject({ type: 'repeat_call', flow_index: '1' })
    await bed.client.answer(input?.input_id ?? '', answer)
    await at(bed, runId, answer ? 'completed' : 'failed')
    const [call] = (await bed.client.trace(runId, { type: 'script.call' })).items
    expect(call?.repeated).toBe(true)
    expect(call?.error?.name).toBe(answer ? undefined : 'call.not_repeated')
  }
})

/** Kills a server while the only script of a run works; the script ends at once when it is called again. */
async function killedDuringScript(
  dataDir: string,
  settings: Readonly<Record<string, unknown>>,
): Promise<{ runId: string }> {
  const code = [
    'import os, time',
    'def main(input_1, **kwargs):',
    '    if not os.path.exists("begun.txt"):',
    '        open("begun.txt", "w").close()',
    '        time.sleep(60)',
    '    return "done"',
  ].join('\n')
  await using server = await startChildServer(dataDir, { SLIPWAY_LOG_LEVEL: 'silent' })
  const client = createClient({ url: server.url })
  await client.deploy(scriptPlan('script', `${code}\n`, settings))
  const { run_id: runId } = await client.startRun('script', { inputs: { question: 'x' } })
  const begun = async () =>
    client.runFile(runId, 'begun.txt').then(
      () => true,
      () => false,
    )
  await expect.poll(begun, { timeout: 60_000 }).toBe(true)
  await server.kill()
  return { runId }
}
