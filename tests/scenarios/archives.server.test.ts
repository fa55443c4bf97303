import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { orAbort } from '@slipway/kit/abort'
import { api } from '@slipway/protocol/api'
import type { RunState } from '@slipway/protocol/runs'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { forgeZip, type ForgedEntry } from '@slipway/server/features/plans/zip-forge'
import { unzipSync } from 'fflate'
import { describe, expect, test } from 'vitest'
import { openBed, type Bed } from '../testbed/bed.ts'
import { scriptedModel, type ScriptedModel } from '../testbed/scripted-model.ts'
import { chainPlan, countingPlan, echoPlan, loopPlan, personPlan, smallPlan } from '../testbed/small-plans.ts'

const long = 'so long that it is kept once and referred to from everywhere else. '.repeat(8)

function wordy(): ScriptedModel {
  return scriptedModel((prompt, call) => `${long}${call} of ${prompt.length}`)
}

async function at(bed: Bed, runId: string, status: RunState): Promise<void> {
  await expect.poll(async () => (await bed.client.run(runId)).status, { timeout: 50_000 }).toBe(status)
}

async function exported(bed: Bed, runId: string): Promise<Uint8Array> {
  return new Uint8Array(await new Response(await bed.client.exportRun(runId)).arrayBuffer())
}

/** The archive with some of its files changed; `null` leaves one out. */
function changed(
  archive: Uint8Array,
  change: (files: Record<string, string>) => Record<string, string | null>,
): Buffer {
  const files: Record<string, Uint8Array> = unzipSync(archive)
  const texts = Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes).toString()]))
  const after = { ...texts, ...change(texts) }
  return forgeZip(
    Object.entries(after).flatMap(([name, content]): ForgedEntry[] => (content === null ? [] : [{ name, content }])),
  )
}

async function code(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => null,
    (cause: unknown) => cause,
  )
  return (error as { code?: string } | null)?.code ?? 'nothing was refused'
}

async function chainRun(bed: Bed, runId: string, steps = 4): Promise<string> {
  await bed.client.deploy(chainPlan('chain', steps))
  await bed.client.startRun('chain', { inputs: { c0: 'x' }, run_id: runId })
  await bed.finished(runId)
  return runId
}

/** Everything that can be asked about a run and does not tell which server it is on. */
async function seen(bed: Bed, runId: string): Promise<unknown> {
  const { client } = bed
  const { agent, status, progress, error, node_statuses, completed_at } = await client.run(runId)
  return {
    run: { agent, status, progress, error, node_statuses, completed_at },
    result: await client.result(runId),
    trace: (await client.trace(runId)).items,
    checkpoints: (await client.checkpoints(runId)).items,
    commands: (await client.commands(runId)).map(({ command_id: _id, ...command }) => command),
  }
}

describe('export and import', () => {
  test('[RUN-80] [RUN-83] a run is the same on another server, and the same archive again', async () => {
    const { models, prompts } = wordy()
    await using here = await openBed({ replace: { models } })
    const runId = await chainRun(here, 'moved')
    await here.client.override(runId, 'c2', { value: `${long} instead`, rerunDependents: true })
    await here.finished(runId)
    await at(here, runId, 'completed')
    const archive = await exported(here, runId)
    expect(await exported(here, runId)).toEqual(archive)
    await using there = await openBed({ replace: { models } })
    const before = prompts.length
    const { run, replayed_steps: steps } = await there.client.importRun(archive)
    expect(run).toMatchObject({ run_id: runId, status: 'completed', plan_id: 'chain' })
    expect(steps).toBe((await here.client.checkpoints(runId)).items.length - 1)
    expect(prompts).toHaveLength(before)
    expect(await seen(there, runId)).toEqual(await seen(here, runId))
    const events = await there.server.context.events.read(
      { organisation: 'default', runId },
      { after: 0, limit: 10_000 },
    )
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1))
    expect(events.at(-1)).toMatchObject({ event: 'run:imported', from_run_id: runId })
    expect((await there.client.plans()).items).toEqual([])
  })

  test('[RUN-84] an imported run is compared, forked, taken back and run again', async () => {
    const { models } = wordy()
    await using here = await openBed({ replace: { models } })
    const runId = await chainRun(here, 'source')
    const archive = await exported(here, runId)
    await using there = await openBed({ replace: { models } })
    await there.client.importRun(archive)
    await there.client.call(api.importRun, {
      query: { run_id: 'copy' },
      uploads: [{ field: 'run', name: 'run.zip', type: 'application/zip', content: archive }],
    })
    expect((await there.client.diff('source', 'copy')).steps).toEqual([])
    const { run_id: fork } = await there.client.fork('copy', { step: 2 })
    expect(await there.finished(fork)).toMatchObject({ status: 'completed' })
    await there.client.rerunFrom('copy', '1.3')
    await expect.poll(async () => (await there.client.run('copy')).status).toBe('completed')
    expect((await there.client.checkpoints('copy')).items.length).toBeGreaterThan(5)
    const again = await exported(there, fork)
    await using third = await openBed({ replace: { models } })
    await third.client.importRun(again)
    expect(await seen(third, fork)).toEqual(await seen(there, fork))
    await third.client.importRun(await exported(there, 'copy'))
    expect(await seen(third, 'copy')).toEqual(await seen(there, 'copy'))
  })

  test('[RUN-81] files that a run wrote travel with it, and its package comes back when it goes on', async () => {
    await using here = await openBed()
    await here.client.deploy(countingPlan('counting', 3))
    await here.client.startRun('counting', { run_id: 'files' })
    await here.finished('files')
    const archive = await exported(here, 'files')
    const names = Object.keys(unzipSync(archive))
    expect(names.filter(name => name.startsWith('files/'))).toEqual(['files/workspace/count.txt'])
    expect(names).toContain('package/provisions/scripts/count.py')
    await using there = await openBed()
    await there.client.importRun(archive)
    expect((await there.client.result('files')).files).toEqual((await here.client.result('files')).files)
    expect(Buffer.from(await there.client.runFile('files', 'count.txt')).toString()).toBe('x\nx\nx\n')
    expect((await there.client.runFile('files', 'provisions/scripts/count.py')).length).toBeGreaterThan(10)
    await there.client.rerunFrom('files', '1.3')
    await expect.poll(async () => (await there.client.run('files')).status, { timeout: 50_000 }).toBe('completed')
    expect((await there.client.result('files')).final_concepts[0]?.value).toBe(4)
    const { run_id: fork } = await there.client.fork('files', { step: 2 })
    expect(await there.finished(fork)).toMatchObject({ status: 'completed' })
    expect((await there.client.result(fork)).final_concepts[0]?.value).toBe(5)
  })

  test('[RUN-82] a run that waits for a person is paused elsewhere, and its question is open', async () => {
    await using here = await openBed()
    await here.client.deploy(personPlan('person'))
    await here.client.startRun('person', { inputs: { question: 'who?' }, run_id: 'asking' })
    await at(here, 'asking', 'waiting')
    const archive = await exported(here, 'asking')
    await using there = await openBed()
    expect((await there.client.importRun(archive)).run).toMatchObject({ status: 'paused' })
    const [question] = await there.client.inputs()
    expect(question).toMatchObject({ run_id: 'asking', expires_at: null })
    await there.client.answer(question?.input_id ?? '', 'me')
    await there.client.resume('asking')
    expect(await there.finished('asking')).toMatchObject({ status: 'completed' })
    expect((await here.client.run('asking')).status).toBe('waiting')
  })

  test('[RUN-82] a run that was paused in the middle goes on elsewhere', async () => {
    const { models, prompts } = wordy()
    await using here = await openBed({ replace: { models } })
    await here.client.deploy(chainPlan('chain', 5))
    await here.client.startRun('chain', { inputs: { c0: 'x' }, breakpoints: ['1.3'], run_id: 'held' })
    await at(here, 'held', 'paused')
    await using there = await openBed({ replace: { models } })
    const { run } = await there.client.importRun(await exported(here, 'held'))
    expect(run).toMatchObject({ status: 'paused', held: { by: 'breakpoint', flow_index: '1.3' } })
    expect(prompts).toHaveLength(2)
    await there.client.resume('held')
    expect(await there.finished('held')).toMatchObject({ status: 'completed' })
    expect(prompts).toHaveLength(5)
  })

  test('[RUN-80] a run that executes is not exported', async () => {
    const { models, release } = scriptedModel(() => 'late', { held: true })
    await using bed = await openBed({ replace: { models } })
    await bed.client.deploy(chainPlan('chain', 2))
    await bed.client.startRun('chain', { inputs: { c0: 'x' }, run_id: 'busy' })
    await at(bed, 'busy', 'running')
    expect(await code(bed.client.exportRun('busy'))).toBe('run.state')
    expect(await code(bed.client.exportRun('nobody'))).toBe('run.unknown')
    release()
    await bed.finished('busy')
  })

  test('[RUN-85] an id that is taken is refused', async () => {
    const { models } = wordy()
    await using bed = await openBed({ replace: { models } })
    const runId = await chainRun(bed, 'taken')
    const archive = await exported(bed, runId)
    expect(await code(bed.client.importRun(archive))).toBe('run.conflict')
    await bed.client.deleteRun(runId)
    const both = await Promise.all([code(bed.client.importRun(archive)), code(bed.client.importRun(archive))])
    expect(both.sort()).toEqual(['nothing was refused', 'run.conflict'])
    expect(await bed.client.run(runId)).toMatchObject({ status: 'completed' })
  })
})

const edit = (name: string, from: RegExp | string, to: string) => (files: Record<string, string>) => {
  const after = (files[name] ?? '').replace(from, to)
  if (after === files[name]) throw new Error(`Nothing of ${name} was changed.`)
  return { [name]: after }
}

describe('what is refused', () => {
  test('[RUN-86] an archive that was changed is refused, and nothing of it stays', async () => {
    const { models } = wordy()
    await using here = await openBed({ replace: { models } })
    await using folder = await temporaryDataFolder()
    await using there = await openBed({ replace: { models }, dataDir: folder.path })
    const runId = await chainRun(here, 'tampered')
    await here.client.override(runId, 'c2', { value: `${long} instead`, rerunDependents: true })
    await at(here, runId, 'completed')
    const archive = await exported(here, runId)
    const line = (name: string, at: number) => (files: Record<string, string>) => {
      const lines = (files[name] ?? '').split('\n')
      lines.splice(at, 1)
      return { [name]: lines.join('\n') }
    }
    type Change = (files: Record<string, string>) => Record<string, string | null>
    const changes: readonly (readonly [Change, because: string])[] = [
      [edit('run.json', '"status": "completed"', '"status": "failed"'), 'does not lead to its end'],
      [edit('run.json', /("result": ".{200})./, '$1~'), 'leads to another result'],
      [edit('run.json', /"seed": "\w+"/, '"seed": "other"'), 'leads to another record 1'],
      [edit('run.json', /("inputs": ".*?)x/, '$1y'), 'something else than entry 2 answers'],
      [edit('run.json', /"records": (\d+)/, '"records": 99'), 'where it stands'],
      [edit('run.json', /"plan_digest": "sha256:.{4}/, '"plan_digest": "sha256:0000'), 'has the digest'],
      [edit('run.json', '"mode": "parallel"', '"mode": "sequential"'), 'leads to another record'],
      [edit('run.json', '"run": {', '"run": { "owner": "me",'), 'Unrecognized key'],
      [edit('run.json', '"version": 1', '"version": 2'), 'wrong at version'],
      [edit('run.json', '{', '['), 'run.json is not JSON'],
      [line('calls.jsonl', 1), 'entry 2 of its journal is missing'],
      [line('steps.jsonl', 2), 'leads to another record 3'],
      [files => line('steps.jsonl', (files['steps.jsonl'] ?? '').split('\n').length - 2)(files), 'another record'],
      [line('values.jsonl', 1), 'is missing'],
      [line('commands.jsonl', 0), 'of its journal is missing'],
      [line('events.jsonl', 1), 'event 2 is missing'],
      [edit('steps.jsonl', '"detail\\":\\"success', '"detail\\":\\"skipped'), 'leads to another record 1'],
      [edit('calls.jsonl', '"outcome":"#', '"outcome":"{\\"value\\":\\"x\\"}'), 'cannot be replayed'],
      [edit('calls.jsonl', /"inputs":"[^"\\]*(\\.[^"\\]*)*"/, '"inputs":"{}"'), 'something else than entry 1'],
      [edit('values.jsonl', 'so long', 'so wrong'), 'not the one that its hash is of'],
      [edit('commands.jsonl', 'instead', 'in vain'), 'leads to another record'],
      [edit('events.jsonl', '"run:queued"', '"run:sold"'), 'wrong at event'],
      [() => ({ 'events.jsonl': null }), 'events.jsonl is missing'],
      [() => ({ 'run.json': null }), 'run.json is missing'],
      [edit('package/provisions/prompts/step-1.md', /$/, 'more'), 'has the digest'],
      [() => ({ 'package/more.txt': 'more' }), 'has the digest'],
      [() => ({ 'files/workspace/a.txt': 'a' }), 'files of a run that never had any'],
      [() => ({ 'files/bin/a.txt': 'a' }), 'files/bin is no part of it'],
    ]
    for (const [change, because] of changes) {
      const broken = changed(archive, change)
      const refused: unknown = await there.client.importRun(broken).catch((error: unknown) => error)
      expect(refused).toMatchObject({
        code: 'archive.invalid',
        message: expect.stringContaining(because) as string,
      })
    }
    expect((await there.client.runs()).items).toEqual([])
    expect(await there.server.context.events.lastId()).toBe(0)
    const inside = (name: string): string[] => readdirSync(join(folder.path, name))
    expect(inside('runs')).toEqual(['.incoming'])
    expect(inside('runs/.incoming')).toEqual([])
    expect(inside('plans')).toEqual(['.incoming'])
    await there.client.importRun(changed(archive, () => ({})))
    expect(inside('plans')).toHaveLength(2)
  })

  test('[RUN-87] an archive keeps the rules of all archives', async () => {
    await using bed = await openBed({ settings: { maxBodyBytes: 200_000 } })
    await bed.client.deploy(echoPlan('echo'))
    await bed.client.startRun('echo', { inputs: { 'spoken word': 'x' }, run_id: 'small' })
    await bed.finished('small')
    const archive = await exported(bed, 'small')
    await bed.client.deleteRun('small')
    const files: Record<string, Uint8Array> = unzipSync(archive)
    const entries = Object.entries(files).map(([name, bytes]) => ({ name, content: Buffer.from(bytes) }))
    const refusals: [string, ForgedEntry[], string][] = [
      ['a path outside', [{ name: 'files/uploads/../../../evil', content: 'x' }], 'archive.forbidden'],
      ['an absolute path', [{ name: '/etc/evil', content: 'x' }], 'archive.forbidden'],
      [
        'a link',
        [{ name: 'files/workspace/link', content: '/etc', attributes: (0o120777 << 16) >>> 0 }],
        'archive.forbidden',
      ],
      ['a bomb', [{ name: 'files/workspace/bomb', content: 'x', size: 2 ** 31 }], 'archive.too_large'],
      ['a liar', [{ name: 'files/workspace/liar', content: 'x'.repeat(5000), size: 10 }], 'archive.invalid'],
      ['a name twice', [{ name: 'run.json', content: '{}' }], 'archive.forbidden'],
    ]
    for (const [what, more, expected] of refusals)
      expect([what, await code(bed.client.importRun(forgeZip([...entries, ...more])))]).toEqual([what, expected])
    expect(await code(bed.client.importRun(Buffer.from('no zip')))).toBe('archive.invalid')
    expect(await code(bed.client.importRun(Buffer.alloc(300_000)))).toBe('body.too_large')
    await bed.client.importRun(archive)
  })
})

test('[RUN-89] a run that was paused while calls were under way is replayed as it was', async () => {
  const numbers = [1, 2, 3, 4]
  const asks = numbers.map(n => ({
    flowIndex: `1.${n}`,
    gives: `{c${n}}`,
    takes: ['{c0}'],
    paradigm: 'v_PromptLocation-h_Literal-c_GenerateThinkJson-o_Literal',
    file: `provisions/prompts/${n}.md`,
  }))
  const echoes = numbers.map(n => ({
    flowIndex: `2.${n}`,
    gives: `{d${n}}`,
    takes: [`{c${n}}`],
    paradigm: 'h_Data-c_PassThrough-o_Normal',
  }))
  const plan = smallPlan({
    name: 'wide',
    inputs: ['{c0}'],
    finals: numbers.map(n => `{d${n}}`),
    steps: [...asks, ...echoes],
    files: Object.fromEntries(numbers.map(n => [`provisions/prompts/${n}.md`, `Number ${n}: $input_1`])),
  })
  // Answers come one by one, when the test says so.
  const waiting = new Map<string, () => void>()
  const { models } = wordy()
  const generate: typeof models.generate = async request => {
    const number = /Number (\d)/.exec(request.prompt)?.[1] ?? ''
    await new Promise<void>(resolve => waiting.set(number, resolve))
    return models.generate(request)
  }
  await using bed = await openBed({ replace: { models: { ...models, generate } } })
  await bed.client.deploy(plan)
  await bed.client.startRun('wide', { inputs: { c0: 'x' }, run_id: 'wide' })
  await expect.poll(() => [...waiting.keys()].sort(), { timeout: 50_000 }).toEqual(['1', '2', '3', '4'])
  await bed.client.pause('wide')
  for (const number of ['3', '1', '4', '2']) {
    const before = (await bed.client.trace('wide')).items.length
    waiting.get(number)?.()
    await expect.poll(async () => (await bed.client.trace('wide')).items.length).toBeGreaterThan(before)
  }
  await at(bed, 'wide', 'paused')
  const half = await exported(bed, 'wide')
  await using there = await openBed({ replace: { models: { ...models, generate } } })
  await there.client.importRun(half)
  await bed.client.resume('wide')
  await at(bed, 'wide', 'completed')
  await there.client.call(api.importRun, {
    query: { run_id: 'whole' },
    uploads: [{ field: 'run', name: 'run.zip', type: 'application/zip', content: await exported(bed, 'wide') }],
  })
  // It was loaded again when it was resumed: each step has one record, in the order in which they were made.
  const steps = (await bed.client.checkpoints('wide')).items.map(checkpoint => checkpoint.flow_index)
  expect(steps.slice(0, 6)).toEqual([null, '1.3', '1.1', '1.4', '1.2', null])
  expect(steps.slice(6).sort()).toEqual(['2.1', '2.2', '2.3', '2.4'])
})

test.each(['parallel', 'sequential'] as const)(
  '[RUN-86] a %s loop that went on after a restart is replayed from its beginning',
  async mode => {
    await using folder = await temporaryDataFolder()
    const data = Array.from({ length: 60 }, (_, index) => `element number ${index}, of which there are many`)
    const inputs = { items: { data, axes: ['item'] } }
    const options = { dataDir: folder.path, settings: { checkpointFrequency: 1 } }
    {
      const { models, prompts } = wordy()
      const { promise: never } = Promise.withResolvers<never>()
      const generate: typeof models.generate = request =>
        prompts.length < 25 ? models.generate(request) : orAbort(never, request.signal)
      await using bed = await openBed({ ...options, replace: { models: { ...models, generate } } })
      await bed.client.deploy(loopPlan('loop'))
      await bed.client.startRun('loop', { inputs, mode, run_id: 'loop' })
      await expect.poll(() => prompts.length, { timeout: 50_000 }).toBe(25)
    }
    const { models } = wordy()
    await using bed = await openBed({ ...options, replace: { models } })
    await at(bed, 'loop', 'completed')
    await bed.client.rerunFrom('loop', '1')
    await at(bed, 'loop', 'completed')
    await using there = await openBed({ replace: { models } })
    await there.client.importRun(await exported(bed, 'loop'))
    expect(await seen(there, 'loop')).toEqual(await seen(bed, 'loop'))
  },
)
