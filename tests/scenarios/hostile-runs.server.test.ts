import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { packPlan } from '@slipway/engine/plan/pack'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { describe, expect, test } from 'vitest'
import { openBed, type Bed } from '../testbed/bed.ts'
import { echoPlan, smallPlan } from '../testbed/small-plans.ts'

/** Steps that hand a value on, one after the other, without a call to the outside. */
function chainPlan(name: string, length: number): Uint8Array {
  const names = Array.from({ length: length + 1 }, (_, i) => `{c${i}}`)
  const concepts = [
    { concept_name: '$.', type: '$.', is_ground_concept: true, reference_data: ['$.'] },
    ...names.map((concept, i) => ({
      concept_name: concept,
      type: '{}',
      is_ground_concept: i === 0,
      is_final_concept: i === length,
    })),
  ]
  const inferences = names.slice(1).map((concept, i) => ({
    flow_info: { flow_index: `1.${i + 1}` },
    inference_sequence: 'assigning',
    concept_to_infer: concept,
    function_concept: '$.',
    value_concepts: [names[i]],
    working_interpretation: { syntax: { marker: '.', assign_source: names[i], assign_destination: concept } },
  }))
  const manifest = { name, version: '1.0.0', entry: { concepts: 'c.json', inferences: 'i.json' } }
  const texts = { 'manifest.json': manifest, 'c.json': concepts, 'i.json': inferences }
  return packPlan(
    new Map(Object.entries(texts).map(([path, content]) => [path, new TextEncoder().encode(JSON.stringify(content))])),
  )
}

async function post(bed: Bed, body: string): Promise<{ status: number; code: string; text: string }> {
  const headers = { 'content-type': 'application/json' }
  const reply = await fetch(`${bed.server.url}/api/runs`, { method: 'POST', headers, body })
  const text = await reply.text()
  return { status: reply.status, code: /"code":"([^"]+)"/.exec(text)?.[1] ?? '', text }
}

describe('hostile inputs', () => {
  test('[RUN-20] what no plan can hold is refused with the reason', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    const values = {
      deep: '['.repeat(100_000) + ']'.repeat(100_000),
      digits: '9'.repeat(100_000),
      wide: `[${Array(999).fill('[[],[]]').join(',')},[[${Array(1000).fill(1).join(',')}]]]`,
      long: `"${'x'.repeat(20_000_000)}"`,
    }
    for (const [name, value] of Object.entries(values)) {
      const reply = await post(bed, `{"plan_id": "echo", "inputs": {"spoken_word": ${value}}}`)
      expect([name, reply.status, reply.code]).toEqual([name, 400, 'input.invalid'])
    }
    const many = await post(bed, `{"plan_id": "echo", "inputs": {"spoken_word": [${'1,'.repeat(500_000)}1]}}`)
    expect([many.status, many.code]).toEqual([413, 'body.too_large'])
    expect((await bed.client.runs()).items).toHaveLength(0)
  })

  test('[RUN-3] two integers beyond 53 bits are two requests', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    const start = (value: string) =>
      post(bed, `{"plan_id": "echo", "idempotency_key": "k", "inputs": {"spoken_word": ${value}}}`)
    expect((await start('9007199254740993')).status).toBe(201)
    expect((await start('9007199254740993')).status).toBe(201)
    expect(await start('9007199254740992')).toMatchObject({ status: 409, code: 'run.conflict' })
  })

  test('[RUN-21] of many starts under one id one is made, with its own file, and the others leave nothing', async () => {
    await using folder = await temporaryDataFolder()
    await using bed = await openBed({ dataDir: folder.path })
    await bed.client.deploy(echoPlan('echo'))
    const start = (i: number, more: string) =>
      post(bed, `{"plan_id": "echo", ${more}, "inputs": {"spoken_word": "data:,number ${i}"}}`)
    const same = await Promise.all(Array.from({ length: 20 }, (_, i) => start(i, '"run_id": "mine"')))
    const winner = same.findIndex(reply => reply.status === 201)
    expect(same.filter(reply => reply.status !== 201).map(reply => reply.code)).toEqual(Array(19).fill('run.conflict'))
    await bed.finished('mine')
    expect((await bed.client.result('mine')).final_concepts[0]?.value).toBe(`number ${winner}`)
    const keyed = await Promise.all(Array.from({ length: 20 }, () => start(1, '"idempotency_key": "k"')))
    expect(keyed.map(reply => reply.status)).toEqual(Array(20).fill(201))
    const folders = (await readdir(join(folder.path, 'runs'))).filter(name => !name.startsWith('.'))
    expect(folders).toHaveLength(2)
  })
})

describe('long and racing runs', () => {
  test('[RUN-23] a long run without calls leaves others their turn and can be stopped', async () => {
    await using bed = await openBed()
    await bed.client.deploy(chainPlan('chain', 6000))
    const { run_id: id } = await bed.client.startRun('chain', { inputs: { c0: 1 }, max_cycles: 100_000 })
    let seen = 0
    while (seen === 0) seen = (await bed.client.run(id)).progress.execution_count
    expect(seen).toBeLessThan(6000)
    await bed.client.stop(id)
    expect(await bed.finished(id)).toMatchObject({ status: 'failed', error: { reason: 'cancelled' } })
  })

  test('[RUN-23] a run that the server interrupts between two turns is taken up where it stood', async () => {
    await using folder = await temporaryDataFolder()
    let id = ''
    {
      await using bed = await openBed({ dataDir: folder.path })
      await bed.client.deploy(chainPlan('chain', 3000))
      id = (await bed.client.startRun('chain', { inputs: { c0: 7 }, max_cycles: 100_000 })).run_id
      while ((await bed.client.run(id)).progress.execution_count === 0);
    }
    await using again = await openBed({ dataDir: folder.path })
    expect(await again.finished(id)).toMatchObject({ status: 'completed', progress: { execution_count: 3000 } })
    const events = await again.events(id)
    expect(events.map(event => event.seq)).toEqual(events.map((_, i) => i + 1))
    expect(events.filter(event => event.event === 'inference:completed')).toHaveLength(3000)
  })

  test('[RUN-22] runs that end while they are stopped, paused or resumed end all the same', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    const ids = await Promise.all(
      Array.from({ length: 30 }, async (_, i) => {
        const { run_id: id } = await bed.client.startRun('echo', { inputs: { spoken_word: String(i) } })
        await (i % 2 === 0 ? bed.client.stop(id) : bed.client.pause(id)).catch(() => undefined)
        await bed.client.resume(id).catch(() => undefined)
        return id
      }),
    )
    for (const id of ids) {
      await expect
        .poll(async () => {
          await bed.client.resume(id).catch(() => undefined)
          return (await bed.client.run(id)).status
        })
        .toMatch(/completed|failed/)
    }
    await expect(bed.client.stop(ids[0] ?? '')).rejects.toMatchObject({ code: 'run.state' })
    const { status } = await bed.client.run(ids[0] ?? '')
    expect(status).toMatch(/completed|failed/)
  })
})

describe('files', () => {
  test('[RUN-24] uploads are there, folders and other places are not', async () => {
    await using bed = await openBed()
    await bed.client.deploy(chainPlan('chain', 1))
    const { run_id: id } = await bed.client.startRun('chain', { inputs: { c0: 'data:,hello' } })
    await bed.finished(id)
    const ask = async (path: string): Promise<string> => {
      const reply = await fetch(`${bed.server.url}/api/runs/${id}/files/${path}`)
      return `${reply.status} ${await reply.text()}`
    }
    expect(await ask('inputs%2Fc0.txt')).toBe('200 hello')
    for (const path of ['inputs', 'inputs%2Fc0.txt%2Fx', 'nothing', `${'x'.repeat(300)}`]) {
      expect(await ask(path)).toMatch(/^404 .*plan.file_unknown/)
    }
    for (const path of ['..%2F..%2F..%2Fslipway.db', '%2Fetc%2Fpasswd', 'inputs%2Fc0.txt%00.png']) {
      expect(await ask(path)).toMatch(/^4.*file.forbidden/)
    }
  })
})

describe('traces', () => {
  test('[RUN-11] a page of large calls is cut where it would get too large, and goes on after that', async () => {
    await using bed = await openBed()
    const paradigm = 'v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal'
    const file = 'provisions/prompts/ask.md'
    const steps = ['1', '2', '3'].map(flowIndex => ({
      flowIndex,
      gives: `{answer ${flowIndex}}`,
      takes: ['{question}'],
      paradigm,
      file,
    }))
    const files = { [file]: 'Answer this: $input_1' }
    await bed.client.deploy(smallPlan({ name: 'ask', inputs: ['{question}'], finals: ['{answer 1}'], steps, files }))
    const { run_id: id } = await bed.client.startRun('ask', { inputs: { question: 'x'.repeat(9_000_000) } })
    await bed.finished(id)
    const sizes: number[] = []
    for (let after: number | undefined = 0; after !== undefined;) {
      const { items }: { items: readonly { n: number; type: string }[] } = await bed.client.trace(id, { after })
      const asked = items.filter(call => call.type === 'model.generate').length
      if (items.length > 0) sizes.push(asked)
      after = items.at(-1)?.n
    }
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(3)
    expect(Math.max(...sizes)).toBe(1)
  })
})
