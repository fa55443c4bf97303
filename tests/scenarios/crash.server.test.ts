import { createClient, type Client } from '@slipway/sdk/client'
import { followRun } from '@slipway/sdk/event-stream'
import type { RunEvent } from '@slipway/protocol/events'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { expect, test } from 'vitest'
import { openBed } from '../testbed/bed.ts'
import { startChildServer } from '../testbed/child-server.ts'
import { countingPlan, personPlan, promptPlan } from '../testbed/small-plans.ts'

async function calls(client: Client, runId: string): Promise<number> {
  return (await client.trace(runId, { limit: 1000 })).items.length
}

test('[RUN-1] [RUN-6] [RUN-7] killed again and again, a run ends as if nothing had happened', async () => {
  await using folder = await temporaryDataFolder()
  const dataDir = folder.path
  const steps = 9
  let runIds: string[] = []
  // Each life gets a little further; the last one ends the runs.
  for (const goal of [1, 4, 8, null]) {
    await using server = await startChildServer(dataDir, { SLIPWAY_LOG_LEVEL: 'silent' })
    const client = createClient({ url: server.url })
    if (runIds.length === 0) {
      await client.deploy(countingPlan('counting', steps))
      await client.deploy(promptPlan('prompt'))
      const started = await Promise.all([
        client.startRun('counting'),
        client.startRun('counting', { mode: 'sequential' }),
        client.startRun('prompt', { inputs: { question: 'What is left?' } }),
      ])
      runIds = started.map(run => run.run_id)
    }
    const [parallel = '', sequential = ''] = runIds
    if (goal !== null) {
      await expect.poll(() => calls(client, parallel), { timeout: 30_000 }).toBeGreaterThanOrEqual(goal)
      await server.kill()
      continue
    }
    for (const id of runIds) {
      const events: RunEvent[] = []
      for await (const event of followRun(client, id, { after: 0 })) events.push(event)
      expect(events.map(event => event.seq)).toEqual(events.map((_event, index) => index + 1))
      const ended = events.filter(event => event.event === 'inference:completed').map(event => event['flow_index'])
      expect(new Set(ended).size).toBe(ended.length)
      const trace = (await client.trace(id, { limit: 1000 })).items
      expect(new Set(trace.map(call => call.key)).size).toBe(trace.length)
      expect(trace.map(call => call.n)).toEqual(trace.map((_call, index) => index + 1))
      expect(await client.run(id)).toMatchObject({ status: 'completed', error: null })
    }
    for (const id of [parallel, sequential]) {
      // A script that was under way when the server died is run again, so its line may stand there once more.
      const counted = (await client.result(id)).final_concepts[0]?.value as number
      expect(counted).toBeGreaterThanOrEqual(steps)
      expect(counted).toBeLessThanOrEqual(steps + 3)
    }
  }
})

test('[RUN-6] [RUN-12] an answer given before the crash is not asked for again', async () => {
  await using folder = await temporaryDataFolder()
  const dataDir = folder.path
  let runId = ''
  {
    await using server = await startChildServer(dataDir, { SLIPWAY_LOG_LEVEL: 'silent' })
    const client = createClient({ url: server.url })
    await client.deploy(personPlan('ask'))
    runId = (await client.startRun('ask', { inputs: { question: 'Go on?' } })).run_id
    await expect.poll(async () => (await client.inputs()).length).toBe(1)
    await server.kill()
  }
  await using bed = await openBed({ dataDir })
  const [input] = await bed.client.inputs({ runId })
  await bed.client.answer(input?.input_id ?? '', 'yes')
  await bed.finished(runId)
  const names = (await bed.events(runId)).map(event => event.event)
  expect(names.filter(name => name === 'user_input:request')).toHaveLength(1)
  expect((await bed.client.result(runId)).final_concepts[0]?.value).toBe('yes')
})

test('[RUN-1] a server that is asked to stop lets go of its runs and takes them up again', async () => {
  await using folder = await temporaryDataFolder()
  const dataDir = folder.path
  let runId = ''
  {
    await using server = await startChildServer(dataDir, { SLIPWAY_LOG_LEVEL: 'silent' })
    const client = createClient({ url: server.url })
    await client.deploy(personPlan('ask'))
    runId = (await client.startRun('ask', { inputs: { question: 'Go on?' } })).run_id
    await expect.poll(async () => (await client.inputs()).length).toBe(1)
    expect(await server.stop()).toBe(0)
  }
  await using bed = await openBed({ dataDir })
  await expect.poll(async () => (await bed.client.run(runId)).node_statuses).toEqual({ '1': 'running' })
  const [input] = await bed.client.inputs({ runId })
  await bed.client.answer(input?.input_id ?? '', 'yes')
  expect(await bed.finished(runId)).toMatchObject({ status: 'completed' })
})
