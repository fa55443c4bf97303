import { AppError } from '@slipway/protocol/errors'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { describe, expect, test } from 'vitest'
import { openBed, type Bed } from '../testbed/bed.ts'
import { scriptedModel } from '../testbed/scripted-model.ts'
import { countingPlan, echoPlan, personPlan, promptPlan, scriptPlan, smallPlan } from '../testbed/small-plans.ts'

async function onlyValue(bed: Bed, runId: string): Promise<unknown> {
  return (await bed.client.result(runId)).final_concepts[0]?.value
}

async function question(bed: Bed, runId: string): Promise<string> {
  await expect.poll(async () => (await bed.client.inputs({ runId })).length).toBe(1)
  return (await bed.client.inputs({ runId }))[0]?.input_id ?? ''
}

describe('starting', () => {
  test('[RUN-4] an input is found by natural name or exact name, raw, with axes, or from a data URL', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    const inputs = [
      { spoken_word: 'plain' },
      { '{spoken word}': ['plain'] },
      { 'spoken word': { data: ['plain'], axes: ['word'] } },
      { spoken_word: 'data:text/plain;base64,cGxhaW4=' },
      { spoken_word: 'data:text/plain,plain' },
    ]
    for (const given of inputs) {
      const { run_id: id } = await bed.client.startRun('echo', { inputs: given })
      expect(await bed.finished(id)).toMatchObject({ status: 'completed', error: null })
      expect(await onlyValue(bed, id)).toBe('plain')
    }
    const { run_id: id } = await bed.client.startRun('echo', { ground_inputs: { '{spoken word}': 'ground' } })
    await bed.finished(id)
    expect(await onlyValue(bed, id)).toBe('ground')
  })

  test('[RUN-4] numbers reach the plan as they were written', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    const body = '{"plan_id": "echo", "inputs": {"spoken_word": [[1.0, 12345678901234567890, {"2": "b", "1": "a"}]]}}'
    const reply = await fetch(`${bed.server.url}/api/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    const { run_id: id } = (await reply.json()) as { run_id: string }
    await bed.finished(id)
    const { final_concepts: finals } = await bed.client.result(id)
    expect(JSON.stringify(finals[0]?.data)).toContain('1.0')
    expect(JSON.stringify(finals[0]?.data)).toContain('12345678901234567890')
    expect(JSON.stringify(finals[0]?.data)).toMatch(/'2': 'b', '1': 'a'/)
  })

  test('[RUN-5] what is unknown or missing is named', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    const start = (input: object) => bed.client.startRun('echo', input)
    await expect(start({ inputs: { spoken_words: 'x' } })).rejects.toMatchObject({
      code: 'input.unknown',
      message: expect.stringContaining('spoken word') as string,
    })
    await expect(start({})).rejects.toMatchObject({
      code: 'input.invalid',
      message: expect.stringContaining('{spoken word}') as string,
    })
    await expect(start({ inputs: { spoken_word: 'x' }, agent: 'nobody' })).rejects.toMatchObject({
      code: 'agent.unknown',
      message: expect.stringContaining('nobody') as string,
    })
    await expect(start({ inputs: { spoken_word: 'data:text/plain;base64,%%%' } })).rejects.toMatchObject({
      code: 'input.invalid',
    })
    await expect(bed.client.startRun('nothing')).rejects.toMatchObject({ code: 'plan.unknown' })
    expect((await bed.client.runs()).items).toEqual([])
  })

  test('[RUN-3] a repeated request starts one run, and a key is not used for another request', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    const request = { inputs: { spoken_word: 'once' }, idempotency_key: 'key-1' }
    const runs = await Promise.all([1, 2, 3, 4].map(() => bed.client.startRun('echo', request)))
    expect(new Set(runs.map(run => run.run_id)).size).toBe(1)
    const byHeader = await fetch(`${bed.server.url}/api/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': 'key-1' },
      body: JSON.stringify({ plan_id: 'echo', inputs: request.inputs }),
    })
    expect(await byHeader.json()).toMatchObject({ run_id: runs[0]?.run_id })
    const other = { ...request, inputs: { spoken_word: 'twice' } }
    await expect(bed.client.startRun('echo', other)).rejects.toMatchObject({ code: 'run.conflict' })
    const again = { inputs: { spoken_word: 'x' }, run_id: runs[0]?.run_id }
    await expect(bed.client.startRun('echo', again)).rejects.toMatchObject({ code: 'run.conflict' })
    expect((await bed.client.runs()).items).toHaveLength(1)
  })

  test('[RUN-2] runs beyond the limit wait in order', async () => {
    const { models, prompts, release } = scriptedModel(() => 'yes', { held: true })
    await using bed = await openBed({ settings: { maxConcurrentRuns: 1 }, replace: { models } })
    await bed.client.deploy(promptPlan('ask'))
    const ids: string[] = []
    for (const name of ['a', 'b', 'c']) {
      ids.push((await bed.client.startRun('ask', { inputs: { question: name } })).run_id)
    }
    const [first = '', second = '', third = ''] = ids
    await expect.poll(() => prompts.length).toBe(1)
    expect((await bed.client.run(first)).queue_position).toBe(null)
    expect((await bed.client.run(second)).queue_position).toBe(1)
    expect((await bed.client.run(third)).queue_position).toBe(2)
    release()
    for (const id of ids) await bed.finished(id)
    expect(prompts.map(prompt => /Answer this: (.)/.exec(prompt)?.[1])).toEqual(['a', 'b', 'c'])
  })

  test('[RUN-14] runs are listed newest first, by plan and status, in pages', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    await bed.client.deploy(echoPlan('other'))
    const ids: string[] = []
    for (let index = 0; index < 5; index++) {
      const { run_id: id } = await bed.client.startRun('echo', { inputs: { spoken_word: `${index}` } })
      await bed.finished(id)
      ids.unshift(id)
    }
    const pages: string[][] = []
    let after: string | undefined
    do {
      const page = await bed.client.runs({ limit: 2, ...(after === undefined ? {} : { after }) })
      pages.push(page.items.map(run => run.run_id))
      after = page.next ?? undefined
    } while (after !== undefined)
    expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)])
    expect((await bed.client.runs({ plan_id: 'other' })).items).toEqual([])
    expect((await bed.client.runs({ status: 'failed' })).items).toEqual([])
  })
})

describe('watching', () => {
  test('[RUN-17] [EVENT-6] steps and progress are told, over the socket and as a stream alike', async () => {
    await using bed = await openBed()
    await bed.client.deploy(promptPlan('prompt'))
    const { run_id: id } = await bed.client.startRun('prompt', { inputs: { question: 'Why?' } })
    const events = await bed.events(id)
    expect(events.map(event => event.seq)).toEqual(events.map((_, index) => index + 1))
    const names = events.map(event => event.event)
    for (const name of [
      'run:queued',
      'run:started',
      'inference:started',
      'llm:call_completed',
      'inference:completed',
    ]) {
      expect(names).toContain(name)
    }
    expect(names.at(-1)).toBe('run:completed')
    expect(await bed.client.run(id)).toMatchObject({
      node_statuses: { '1': 'completed' },
      progress: { completed_count: 1, total_count: 1, failed_count: 0 },
    })
    const text = await (await fetch(`${bed.server.url}/api/runs/${id}/stream`)).text()
    const streamed = [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data ?? '') as { event: string })
    expect(streamed.slice(0, -1)).toEqual(events)
    expect(streamed.at(-1)).toEqual({ event: 'closing', reason: 'finished' })
    const rest = await fetch(`${bed.server.url}/api/runs/${id}/stream`, {
      headers: { 'last-event-id': String(events.length - 2) },
    })
    expect([...(await rest.text()).matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq))).toEqual([
      events.length - 1,
      events.length,
    ])
  })

  test('[EVENT-5] a stream of a run that is over, behind its last event, ends at once', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    const { run_id: id } = await bed.client.startRun('echo', { inputs: { spoken_word: 'x' } })
    const last = (await bed.events(id)).length
    const text = await (await fetch(`${bed.server.url}/api/runs/${id}/stream?after=${last}`)).text()
    expect(text).toContain('"reason":"finished"')
  })

  test('[RUN-11] calls are in the trace, in pages, with what went in and came out', async () => {
    await using bed = await openBed()
    await bed.client.deploy(promptPlan('prompt'))
    const { run_id: id } = await bed.client.startRun('prompt', { inputs: { question: 'Why?' } })
    await bed.finished(id)
    const trace = await bed.client.trace(id)
    expect(trace.items.map(call => call.type)).toEqual(['file.read', 'model.generate'])
    expect(trace.items[1]).toMatchObject({
      flow_index: '1',
      concept_name: '{answer}',
      inputs: { prompt: expect.stringContaining('Answer this: Why?') as string },
      output: expect.any(String) as string,
      error: null,
      provider: 'demo',
      attempts: 1,
    })
    const first = await bed.client.trace(id, { limit: 1 })
    expect([first.items.length, first.next]).toEqual([1, '1'])
    expect((await bed.client.trace(id, { type: 'model.generate' })).items).toHaveLength(1)
  })

  test('[RUN-13] the result gives cells and content, and is refused before the end', async () => {
    await using bed = await openBed()
    await bed.client.deploy(personPlan('ask'))
    const { run_id: id } = await bed.client.startRun('ask', { inputs: { question: 'How many?' } })
    const input = await question(bed, id)
    await expect(bed.client.result(id)).rejects.toMatchObject({ code: 'run.not_finished' })
    await bed.client.answer(input, 'seven')
    await bed.finished(id)
    expect(await bed.client.result(id)).toMatchObject({
      status: 'completed',
      final_concepts: [
        {
          name: '{answer}',
          has_value: true,
          shape: [1],
          data: [expect.stringMatching(/^%[0-9a-f]{3}\(seven\)$/) as string],
          value: 'seven',
        },
      ],
    })
    await expect(bed.client.result('run_none')).rejects.toMatchObject({ code: 'run.unknown' })
  })

  test('[RUN-13] files that the run wrote are listed and can be fetched', async () => {
    await using bed = await openBed()
    const code = 'def main(input_1):\n    open("out.txt", "w").write(input_1.upper())\n    return "written"\n'
    await bed.client.deploy(scriptPlan('write', code))
    const { run_id: id } = await bed.client.startRun('write', { inputs: { question: 'aloud' } })
    await bed.finished(id)
    expect((await bed.client.result(id)).files).toEqual([{ path: 'out.txt', size_bytes: 5 }])
    expect((await bed.client.trace(id, { type: 'script.call' })).items).toMatchObject([{ files: ['out.txt'] }])
    const changed = (await bed.events(id)).filter(event => event.event === 'file:changed')
    expect(changed).toMatchObject([{ path: 'out.txt', flow_index: '1' }])
    expect(new TextDecoder().decode(await bed.client.runFile(id, 'out.txt'))).toBe('ALOUD')
    await expect(bed.client.runFile(id, '../../../slipway.db')).rejects.toThrow()
  })
})

describe('people', () => {
  test('[RUN-7] [EVENT-3] questions and answers of steps side by side are told live in the order of their numbers', async () => {
    await using bed = await openBed()
    const file = 'provisions/prompts/ask.md'
    const places = Array.from({ length: 24 }, (_, place) => place)
    const plan = smallPlan({
      name: 'many',
      given: { '{question}': ['q'] },
      finals: ['{a1}'],
      files: { [file]: 'Answer $input_1 with JSON: {"result": "..."}' },
      steps: places.map(place => ({
        flowIndex: `1.${place + 1}`,
        gives: `{a${place}}`,
        takes: place < 8 || place % 2 === 0 ? ['{question}'] : [`{a${place - 1}}`],
        ...(place % 3 === 0
          ? { paradigm: 'v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal', file }
          : { paradigm: 'h_UserPrompt-c_Ask-o_Normal' }),
      })),
    })
    await bed.client.deploy(plan)
    const { run_id: id } = await bed.client.startRun('many')
    const reading = bed.events(id)
    while (['pending', 'running', 'waiting'].includes((await bed.client.run(id)).status)) {
      for (const input of await bed.client.inputs({ runId: id })) await bed.client.answer(input.input_id, 'yes')
    }
    const live = await reading
    expect(live.map(event => event.seq)).toEqual(live.map((_, index) => index + 1))
    expect(await bed.client.run(id)).toMatchObject({ status: 'completed' })
  })

  test('[RUN-12] a question is listed until it is answered, with the right kind, once', async () => {
    await using bed = await openBed()
    await bed.client.deploy(personPlan('ask'))
    const { run_id: id } = await bed.client.startRun('ask', { inputs: { question: 'Your name?' } })
    const input = await question(bed, id)
    expect(await bed.client.inputs()).toMatchObject([{ run_id: id, flow_index: '1', prompt: 'Your name?' }])
    await expect(bed.client.answer(input, true)).rejects.toMatchObject({ code: 'input.invalid' })
    await bed.client.answer(input, 'Ada')
    await expect(bed.client.answer(input, 'Bob')).rejects.toMatchObject({ code: 'question.unknown' })
    await bed.finished(id)
    expect(await onlyValue(bed, id)).toBe('Ada')
    expect(await bed.client.inputs()).toEqual([])
    const names = (await bed.events(id)).map(event => event.event)
    expect(names.filter(name => name.startsWith('user_input:'))).toEqual(['user_input:request', 'user_input:completed'])
  })
})

describe('pausing', () => {
  test('[RUN-19] a paused run begins nothing more and goes on where it stood', async () => {
    await using bed = await openBed()
    await bed.client.deploy(countingPlan('counting', 6))
    const { run_id: id } = await bed.client.startRun('counting')
    await expect
      .poll(async () => (await bed.client.run(id)).progress.completed_count, { timeout: 30_000 })
      .toBeGreaterThanOrEqual(1)
    await bed.client.pause(id)
    await expect.poll(async () => (await bed.client.run(id)).status, { timeout: 30_000 }).toBe('paused')
    const paused = await bed.client.run(id)
    const calls = (await bed.client.trace(id)).items.length
    expect(paused.progress.completed_count).toBeLessThan(6)
    await expect.poll(() => bed.server.context.runs.counts('default')).toEqual({ running: 0, pending: 0 })
    await expect(bed.client.pause(id)).rejects.toMatchObject({ code: 'run.state' })
    expect((await bed.client.trace(id)).items.length).toBe(calls)
    await bed.client.resume(id)
    expect(await bed.finished(id)).toMatchObject({ status: 'completed' })
    expect(await onlyValue(bed, id)).toBe(6)
    const events = await bed.events(id)
    expect(events.map(event => event.seq)).toEqual(events.map((_, index) => index + 1))
    const told = events
      .map(event => event.event)
      .filter(name => name.startsWith('execution:') && name !== 'execution:progress')
    expect(told).toEqual(['execution:paused', 'execution:resumed'])
    await expect(bed.client.resume(id)).rejects.toMatchObject({ code: 'run.state' })
  })

  test('[RUN-19] a pause survives a restart, its question can be answered meanwhile, and it can be stopped', async () => {
    await using folder = await temporaryDataFolder()
    const dataDir = folder.path
    let asked = ''
    let stopped = ''
    {
      await using bed = await openBed({ dataDir })
      await bed.client.deploy(personPlan('ask'))
      asked = (await bed.client.startRun('ask', { inputs: { question: 'a' } })).run_id
      stopped = (await bed.client.startRun('ask', { inputs: { question: 'b' } })).run_id
      for (const id of [asked, stopped]) {
        await question(bed, id)
        await bed.client.pause(id)
        await expect.poll(async () => (await bed.client.run(id)).status, { timeout: 30_000 }).toBe('paused')
      }
    }
    await using bed = await openBed({ dataDir })
    expect((await bed.client.runs({ status: 'paused' })).items).toHaveLength(2)
    await bed.client.answer(await question(bed, asked), 'answered while paused')
    await bed.client.resume(asked)
    expect(await bed.finished(asked)).toMatchObject({ status: 'completed' })
    expect(await onlyValue(bed, asked)).toBe('answered while paused')
    await bed.client.stop(stopped)
    expect(await bed.finished(stopped)).toMatchObject({ status: 'failed', error: { reason: 'cancelled' } })
  })

  test('[RUN-19] a run that waits in the queue can be paused and takes its place again when it is resumed', async () => {
    const { models, release } = scriptedModel(() => 'yes', { held: true })
    await using bed = await openBed({ settings: { maxConcurrentRuns: 1 }, replace: { models } })
    await bed.client.deploy(promptPlan('ask'))
    const first = await bed.client.startRun('ask', { inputs: { question: 'a' } })
    const second = await bed.client.startRun('ask', { inputs: { question: 'b' } })
    expect(await bed.client.pause(second.run_id)).toMatchObject({ status: 'paused', queue_position: null })
    release()
    await bed.finished(first.run_id)
    expect((await bed.client.run(second.run_id)).status).toBe('paused')
    await bed.client.resume(second.run_id)
    expect(await bed.finished(second.run_id)).toMatchObject({ status: 'completed' })
  })
})

describe('stopping', () => {
  test('[RUN-8] a waiting run and a run that waits for a person both end as cancelled', async () => {
    await using bed = await openBed({ settings: { maxConcurrentRuns: 1 } })
    await bed.client.deploy(personPlan('ask'))
    const first = await bed.client.startRun('ask', { inputs: { question: 'a' } })
    const second = await bed.client.startRun('ask', { inputs: { question: 'b' } })
    await question(bed, first.run_id)
    await bed.client.stop(second.run_id, { reason: 'Not needed.' })
    await bed.client.stop(first.run_id)
    for (const { run_id: id } of [first, second]) {
      expect(await bed.finished(id)).toMatchObject({ status: 'failed', error: { reason: 'cancelled' } })
    }
    await expect(bed.client.stop(first.run_id)).rejects.toMatchObject({ code: 'run.state' })
    expect(await bed.client.inputs()).toEqual([])
  })

  test('[RUN-8] a script that never ends is given up', async () => {
    await using bed = await openBed()
    await bed.client.deploy(scriptPlan('endless', 'def main(input_1):\n    while True:\n        pass\n'))
    const { run_id: id } = await bed.client.startRun('endless', { inputs: { question: 'x' } })
    await expect.poll(async () => (await bed.client.run(id)).node_statuses['1']).toBe('running')
    await bed.client.stop(id)
    expect(await bed.finished(id)).toMatchObject({ status: 'failed', error: { reason: 'cancelled' } })
  })
})

describe('faults', () => {
  test('[RUN-15] a script that never ends fails its step, and the server goes on', async () => {
    await using bed = await openBed({ settings: { scriptTimeoutMs: 1500 } })
    const endless =
      'def main(input_1):\n    while True:\n        try:\n            while True: pass\n        except BaseException: pass\n'
    await bed.client.deploy(scriptPlan('endless', endless))
    await bed.client.deploy(countingPlan('counting', 1))
    const { run_id: id } = await bed.client.startRun('endless', { inputs: { question: 'x' } })
    const run = await bed.finished(id)
    expect(run).toMatchObject({ status: 'failed', error: { reason: 'step_failed' }, node_statuses: { '1': 'failed' } })
    expect(run.error?.stuck[0]?.why).toContain('1500 ms')
    expect((await bed.client.trace(id)).items.at(-1)?.error?.name).toBe('sandbox.timeout')
    const next = await bed.client.startRun('counting')
    expect(await bed.finished(next.run_id)).toMatchObject({ status: 'completed' })
  })

  test('[RUN-15] a model that does not answer fails its step, and a fault of the server ends the run', async () => {
    const errors = [new AppError('model.unavailable', 'No answer after 3 attempts.'), new Error('a bug')]
    const models = {
      defaultAgent: 'demo',
      has: () => true,
      agents: () => [],
      generate: () => Promise.reject(errors.shift() ?? new Error('called too often')),
    }
    await using bed = await openBed({ replace: { models } })
    await bed.client.deploy(promptPlan('prompt'))
    const first = await bed.client.startRun('prompt', { inputs: { question: 'x' } })
    const failed = await bed.finished(first.run_id)
    expect(failed).toMatchObject({ status: 'failed', error: { reason: 'step_failed' } })
    expect(failed.error?.stuck[0]?.why).toContain('No answer after 3 attempts.')
    const second = await bed.client.startRun('prompt', { inputs: { question: 'x' } })
    expect(await bed.finished(second.run_id)).toMatchObject({ status: 'failed', error: { reason: 'internal' } })
  })

  test('[ENGINE-26] an answer that cannot be read fails the run, with the error at its step', async () => {
    const reply = { text: 'no JSON at all', model: 'm', provider: 'p', inputTokens: 1, outputTokens: 1, attempts: 1 }
    const models = { defaultAgent: 'demo', has: () => true, agents: () => [], generate: () => Promise.resolve(reply) }
    await using bed = await openBed({ replace: { models } })
    await bed.client.deploy(promptPlan('prompt', 'v_Prompt-h_Data-c_ThinkJSON-o_Normal'))
    const { run_id: id } = await bed.client.startRun('prompt', { inputs: { question: 'x' } })
    const run = await bed.finished(id)
    expect(run).toMatchObject({ status: 'failed', error: { reason: 'step_failed' }, node_statuses: { '1': 'failed' } })
    expect(run.error?.stuck).toMatchObject([{ flow_index: '1', why: expect.stringContaining('JSON') as string }])
  })

  test('[RUN-9] a run keeps its package when the plan is replaced or undeployed', async () => {
    await using bed = await openBed()
    await bed.client.deploy(personPlan('ask'))
    const { run_id: id, plan_digest: digest } = await bed.client.startRun('ask', { inputs: { question: 'x' } })
    const input = await question(bed, id)
    await bed.client.deploy(echoPlan('ask'), { replace: true })
    await bed.client.answer(input, 'still here')
    expect(await bed.finished(id)).toMatchObject({ status: 'completed', plan_digest: digest })
    expect(await onlyValue(bed, id)).toBe('still here')
  })
})
