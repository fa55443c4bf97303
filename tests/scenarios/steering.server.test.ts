import { api } from '@slipway/protocol/api'
import type { PlanId } from '@slipway/protocol/plans'
import type { RunId, RunState } from '@slipway/protocol/runs'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { describe, expect, test } from 'vitest'
import { openBed, type Bed } from '../testbed/bed.ts'
import { scriptedModel, type ScriptedModel } from '../testbed/scripted-model.ts'
import { chainPlan, personPlan } from '../testbed/small-plans.ts'

/** Answers with the number of the step in the prompt around what it was given. */
function nesting(): ScriptedModel {
  return scriptedModel(prompt => {
    const [, step, inside] = /(?:Step|Stage) (\d+) of (.*)/.exec(prompt) ?? []
    return `${step}(${inside?.trim()})`
  })
}

async function at(bed: Bed, runId: string, status: RunState): Promise<void> {
  await expect.poll(async () => (await bed.client.run(runId)).status, { timeout: 20_000 }).toBe(status)
}

async function value(bed: Bed, runId: string): Promise<unknown> {
  return (await bed.client.result(runId)).final_concepts[0]?.value
}

const id = (runId: string): RunId => runId as RunId

async function atBreakpoint(bed: Bed, steps: number, flowIndex: string): Promise<RunId> {
  await bed.client.deploy(chainPlan('chain', steps))
  const { run_id: runId } = await bed.client.startRun('chain', { inputs: { c0: 'x' }, breakpoints: [flowIndex] })
  await at(bed, runId, 'paused')
  return runId
}

describe('breakpoints and steps', () => {
  test('[RUN-37] a run pauses before a breakpoint and goes on past it', async () => {
    const { models, prompts } = nesting()
    await using bed = await openBed({ replace: { models } })
    const runId = await atBreakpoint(bed, 4, '1.3')
    expect(prompts).toHaveLength(2)
    expect((await bed.client.run(runId)).held).toEqual({ by: 'breakpoint', flow_index: '1.3' })
    expect(await bed.client.call(api.listBreakpoints, { params: { id: runId } })).toEqual({ breakpoints: ['1.3'] })
    await bed.client.resume(runId)
    expect(await bed.finished(runId)).toMatchObject({ status: 'completed', held: null })
    expect(await value(bed, runId)).toBe('4(3(2(1(x))))')
    expect(prompts).toHaveLength(4)
    const names = (await bed.events(runId)).map(({ event }) => event)
    expect(names.filter(name => name === 'breakpoint:hit')).toHaveLength(1)
  })

  test('[RUN-38] a paused run makes single steps and runs to a step', async () => {
    const { models, prompts } = nesting()
    await using bed = await openBed({ replace: { models } })
    const runId = await atBreakpoint(bed, 6, '1.2')
    await bed.client.call(api.stepRun, { params: { id: runId } })
    await expect.poll(() => prompts.length).toBe(2)
    await at(bed, runId, 'paused')
    expect((await bed.client.run(runId)).held).toEqual({ by: 'step', flow_index: '1.3' })
    await bed.client.call(api.runTo, { params: { id: runId, flow_index: '1.4' } })
    await expect.poll(() => prompts.length).toBe(4)
    await at(bed, runId, 'paused')
    expect((await bed.client.run(runId)).held).toEqual({ by: 'run_to', flow_index: '1.4' })
    await bed.client.resume(runId)
    await at(bed, runId, 'completed')
    expect(await value(bed, runId)).toBe('6(5(4(3(2(1(x))))))')
  })

  test('[RUN-42] commands outlive the server, are carried out once, and say who asked', async () => {
    await using folder = await temporaryDataFolder()
    const { models, prompts } = nesting()
    let runId: RunId
    {
      await using bed = await openBed({ replace: { models }, dataDir: folder.path })
      runId = await atBreakpoint(bed, 4, '1.3')
      const params = { id: runId, concept: 'c2' }
      const { command, run } = await bed.client.call(api.overrideValue, { params, body: { new_value: 'new' } })
      expect(command).toMatchObject({ status: 'applied', type: 'override', details: { concept: '{c2}' } })
      expect(run).toMatchObject({ status: 'paused', held: { by: 'breakpoint', flow_index: '1.3' } })
    }
    await using bed = await openBed({ replace: { models }, dataDir: folder.path })
    await bed.client.resume(runId)
    await at(bed, runId, 'completed')
    expect(await value(bed, runId)).toBe('4(3(new))')
    expect(prompts).toHaveLength(4)
    const commands = await bed.client.call(api.listCommands, { params: { id: runId } })
    expect(commands.map(({ type, status }) => [type, status])).toEqual([
      ['set_breakpoint', 'applied'],
      ['override', 'applied'],
      ['continue', 'applied'],
    ])
    expect(commands.every(({ by, applied_at: appliedAt }) => by !== '' && appliedAt !== null)).toBe(true)
  })
})

describe('changing a run', () => {
  test('[RUN-39] [RUN-40] a finished run goes on with another value, or from a step', async () => {
    const { models, prompts } = nesting()
    await using bed = await openBed({ replace: { models } })
    await bed.client.deploy(chainPlan('chain', 3))
    const { run_id: runId } = await bed.client.startRun('chain', { inputs: { c0: 'x' } })
    await at(bed, runId, 'completed')
    const body = { new_value: 'other', rerun_dependents: true }
    await bed.client.call(api.overrideValue, { params: { id: runId, concept: '{c1}' }, body })
    await at(bed, runId, 'completed')
    expect(await value(bed, runId)).toBe('3(2(other))')
    expect(prompts).toHaveLength(5)
    await bed.client.call(api.rerunFrom, { params: { id: runId, flow_index: '1.1' } })
    await at(bed, runId, 'completed')
    expect(await value(bed, runId)).toBe('3(2(1(x)))')
    expect(prompts).toHaveLength(8)
    const seqs = (
      await bed.server.context.events.read({ organisation: 'default', runId }, { after: 0, limit: 1000 })
    ).map(({ seq }) => seq)
    expect(seqs).toEqual(seqs.map((_, index) => index + 1))
    const missing = { id: runId, flow_index: '9.9' }
    await expect(bed.client.call(api.rerunFrom, { params: missing })).rejects.toMatchObject({ code: 'step.unknown' })
  })

  test('[RUN-41] a prompt is changed in one run only', async () => {
    const { models, prompts } = nesting()
    await using bed = await openBed({ replace: { models } })
    const runId = await atBreakpoint(bed, 3, '1.2')
    const { run_id: other } = await bed.client.startRun('chain', { inputs: { c0: 'y' } })
    const body = { prompt: 'Stage 7 of $input_1\n' }
    await bed.client.call(api.modifyFunction, { params: { id: runId, flow_index: '1.2' }, body })
    await bed.client.resume(runId)
    await at(bed, runId, 'completed')
    await at(bed, other, 'completed')
    expect(await value(bed, runId)).toBe('3(7(1(x)))')
    expect(await value(bed, other)).toBe('3(2(1(y)))')
    expect(prompts.map(prompt => prompt.trim())).toContain('Stage 7 of 1(x)')
    const paradigm = { paradigm: 'no-such-paradigm' }
    await expect(
      bed.client.call(api.modifyFunction, { params: { id: runId, flow_index: '1.2' }, body: paradigm }),
    ).rejects.toMatchObject({ code: 'run.command' })
  })
})

describe('checkpoints', () => {
  test('[RUN-43] [RUN-44] a run lists its positions and goes back to one', async () => {
    const { models, prompts } = nesting()
    await using bed = await openBed({ replace: { models } })
    await bed.client.deploy(chainPlan('chain', 4))
    const { run_id: runId } = await bed.client.startRun('chain', { inputs: { c0: 'x' }, mode: 'sequential' })
    await at(bed, runId, 'completed')
    const query = { limit: 3 }
    const first = await bed.client.call(api.listCheckpoints, { params: { run_id: runId }, query })
    expect(first.map(({ step, flow_index: flowIndex }) => [step, flowIndex])).toEqual([
      [1, '1.1'],
      [2, '1.2'],
      [3, '1.3'],
    ])
    const all = await bed.client.call(api.listCheckpoints, { params: { run_id: runId } })
    expect(all.map(({ step }) => step)).toEqual([0, 1, 2, 3, 4])
    expect(all[2]).toMatchObject({ status: 'completed', concept_name: '{c2}', execution: 1 })
    await bed.client.call(api.resumeCheckpoint, { params: { run_id: runId }, body: { step: 2 } })
    await at(bed, runId, 'completed')
    expect(prompts).toHaveLength(6)
    expect(await value(bed, runId)).toBe('4(3(2(1(x))))')
    const trace = (await bed.client.trace(runId, { type: 'model.generate' })).items
    expect(new Set(trace.map(({ key }) => key)).size).toBe(6)
    await expect(
      bed.client.call(api.resumeCheckpoint, { params: { run_id: runId }, body: { step: 99 } }),
    ).rejects.toMatchObject({ code: 'checkpoint.unknown' })
  })

  test('[RUN-45] [RUN-47] a fork goes on from a checkpoint, with other values, and leaves its source alone', async () => {
    const { models, prompts } = nesting()
    await using bed = await openBed({ replace: { models } })
    await bed.client.deploy(chainPlan('chain', 4))
    const { run_id: source } = await bed.client.startRun('chain', { inputs: { c0: 'x' } })
    await at(bed, source, 'completed')
    const before = await bed.client.run(source)
    const fork = await bed.client.call(api.forkCheckpoint, { params: { run_id: source }, body: { step: 2 } })
    expect(fork).toMatchObject({ forked_from: { run_id: source, step: 2 } })
    await at(bed, fork.run_id, 'completed')
    expect(await value(bed, fork.run_id)).toBe('4(3(2(1(x))))')
    expect(prompts).toHaveLength(6)
    const other = await bed.client.call(api.forkCheckpoint, {
      params: { run_id: source },
      body: { inputs: { c0: 'y' } },
    })
    await at(bed, other.run_id, 'completed')
    expect(await value(bed, other.run_id)).toBe('4(3(2(1(y))))')
    expect(prompts).toHaveLength(10)
    const patched = await bed.client.call(api.forkCheckpoint, {
      params: { run_id: source },
      body: { overrides: { '{c3}': 'z' } },
    })
    await at(bed, patched.run_id, 'completed')
    expect(await value(bed, patched.run_id)).toBe('4(z)')
    expect(prompts).toHaveLength(11)
    expect(await bed.client.run(source)).toEqual(before)
  })

  test('[RUN-46] a fork onto another version does again what has changed, and what depends on it', async () => {
    const { models, prompts } = nesting()
    await using bed = await openBed({ replace: { models } })
    await bed.client.deploy(chainPlan('chain', 4))
    const { run_id: source } = await bed.client.startRun('chain', { inputs: { c0: 'x' } })
    await at(bed, source, 'completed')
    await bed.client.deploy(chainPlan('chain', 4, { version: '2.0.0', prompts: { 3: 'Stage 9 of $input_1\n' } }))
    const body = { plan_id: 'chain' as PlanId, version: '2.0.0' }
    const fork = await bed.client.call(api.forkCheckpoint, { params: { run_id: source }, body })
    expect(fork.plan_version).toBe('2.0.0')
    await at(bed, fork.run_id, 'completed')
    expect(await value(bed, fork.run_id)).toBe('4(9(2(1(x))))')
    const trace = (await bed.client.trace(fork.run_id, { type: 'model.generate' })).items
    expect(trace.map(({ flow_index: flowIndex }) => flowIndex)).toEqual(['1.3', '1.4'])
    expect(prompts).toHaveLength(6)
  })
})

describe('people and limits', () => {
  test('[RUN-33] a run that waits for people keeps no worker and goes on after its answer', async () => {
    await using folder = await temporaryDataFolder()
    let runIds: string[] = []
    {
      await using bed = await openBed({ dataDir: folder.path, settings: { maxConcurrentRuns: 2 } })
      await bed.client.deploy(personPlan('ask'))
      const start = () => bed.client.startRun('ask', { inputs: { question: 'Go on?' } })
      runIds = (await Promise.all([start(), start(), start(), start()])).map(run => run.run_id)
      // More than may execute at a time: none of them keeps its place while it waits.
      for (const runId of runIds) await at(bed, runId, 'waiting')
      const [first = ''] = runIds
      const [input] = await bed.client.inputs({ runId: first })
      await bed.client.answer(input?.input_id ?? '', 'yes')
      await at(bed, first, 'completed')
    }
    await using bed = await openBed({ dataDir: folder.path })
    for (const runId of runIds.slice(1)) {
      expect((await bed.client.run(runId)).status).toBe('waiting')
      const [input] = await bed.client.inputs({ runId })
      await bed.client.answer(input?.input_id ?? '', 'later')
      await at(bed, runId, 'completed')
      expect(await value(bed, runId)).toBe('later')
    }
  })

  test('[RUN-36] a question that is cancelled or expires fails its step', async () => {
    await using bed = await openBed()
    await bed.client.deploy(personPlan('ask'))
    const inputs = { question: 'Go on?' }
    const { run_id: cancelled } = await bed.client.startRun('ask', { inputs })
    await at(bed, cancelled, 'waiting')
    const [input] = await bed.client.inputs({ runId: cancelled })
    await bed.client.call(api.cancelInput, { params: { id: input?.input_id ?? '' }, body: { reason: 'not now' } })
    await at(bed, cancelled, 'failed')
    expect((await bed.client.run(cancelled)).error?.stuck[0]?.why).toContain('not now')
    const { run_id: expired } = await bed.client.startRun('ask', { inputs, input_timeout_seconds: 0.2 })
    await at(bed, expired, 'failed')
    const names = (await bed.events(expired)).map(({ event }) => event)
    expect(names).toContain('user_input:expired')
    expect((await bed.events(cancelled)).map(({ event }) => event)).toContain('user_input:cancelled')
  })

  test('[RUN-34] a run that is not over in time ends as timed out, also while it waits or is paused', async () => {
    await using bed = await openBed({ replace: { models: scriptedModel(() => '', { held: true }).models } })
    await bed.client.deploy(personPlan('ask'))
    await bed.client.deploy(chainPlan('chain', 2))
    const waiting = await bed.client.startRun('ask', { inputs: { question: 'Go on?' }, timeout_seconds: 0.5 })
    const working = await bed.client.startRun('chain', { inputs: { c0: 'x' }, timeout_seconds: 0.5 })
    for (const { run_id: runId } of [waiting, working]) {
      await at(bed, runId, 'failed')
      expect((await bed.client.run(runId)).error).toMatchObject({ reason: 'timeout' })
    }
  })

  test('[RUN-35] a step whose calls take too long fails', async () => {
    await using bed = await openBed({ replace: { models: scriptedModel(() => '', { held: true }).models } })
    await bed.client.deploy(chainPlan('chain', 1))
    const { run_id: runId } = await bed.client.startRun('chain', { inputs: { c0: 'x' }, step_timeout_seconds: 0.3 })
    await at(bed, runId, 'failed')
    const { error } = await bed.client.run(runId)
    expect(error).toMatchObject({ reason: 'step_failed' })
    const [call] = (await bed.client.trace(id(runId), { type: 'model.generate' })).items
    expect(call?.error?.name).toBe('step.timeout')
  })

  test('[RUN-48] a run that gets no answer is said to be stalled', async () => {
    const { models, release } = scriptedModel(() => 'late', { held: true })
    await using bed = await openBed({ replace: { models }, settings: { stalledAfterSeconds: 1 } })
    await bed.client.deploy(chainPlan('chain', 1))
    const { run_id: runId } = await bed.client.startRun('chain', { inputs: { c0: 'x' } })
    const told = async () =>
      (await bed.server.context.events.read({ organisation: 'default', runId }, { after: 0, limit: 100 })).find(
        e => e.event === 'execution:stalled',
      )
    await expect.poll(told, { timeout: 20_000 }).toMatchObject({ waits_for: ['1.1'] })
    release()
    await at(bed, runId, 'completed')
  })
})
