import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packPlan } from '@slipway/engine/plan/pack'
import { api } from '@slipway/protocol/api'
import type { RunState } from '@slipway/protocol/runs'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import type { Tables } from '@slipway/server/db/tables'
import { deleteRunRow } from '@slipway/server/features/runs/retention-store'
import { strToU8, unzipSync } from 'fflate'
import { describe, expect, test } from 'vitest'
import { openBed, type Bed } from '../testbed/bed.ts'
import { scriptedModel } from '../testbed/scripted-model.ts'
import { chainPlan, echoPlan, personPlan, smallPlan } from '../testbed/small-plans.ts'

const dayMs = 86_400_000
const long = 'so long that it is kept once and referred to from everywhere else. '.repeat(8)

function wordy() {
  return scriptedModel((prompt, call) => `${long}${call} of ${prompt.length}`)
}

async function at(bed: Bed, runId: string, status: RunState): Promise<void> {
  await expect.poll(async () => (await bed.client.run(runId)).status, { timeout: 50_000 }).toBe(status)
}

async function echo(bed: Bed, runId: string, plan = 'echo'): Promise<string> {
  await bed.client.startRun(plan, { inputs: { 'spoken word': runId }, run_id: runId })
  await at(bed, runId, 'completed')
  return runId
}

/** Makes a run one that ended so many days ago. */
async function age(bed: Bed, runId: string, days: number): Promise<void> {
  const completed_at = Math.round(Date.now() - days * dayMs)
  await bed.server.context.db.transaction(async tx => {
    await tx.sql.updateTable('run').set({ completed_at }).where('id', '=', runId).execute()
  })
}

function withRetention(plan: Uint8Array, retention: object): Uint8Array {
  const files: Record<string, Uint8Array> = unzipSync(plan)
  const manifest = JSON.parse(Buffer.from(files['manifest.json'] ?? []).toString()) as object
  files['manifest.json'] = strToU8(JSON.stringify({ ...manifest, retention }))
  return packPlan(new Map(Object.entries(files)))
}

const tables = [
  'run',
  'run_content',
  'run_call',
  'run_step',
  'run_value',
  'run_command',
  'run_input',
  'run_remains',
] as const

async function rows(bed: Bed): Promise<Record<string, number>> {
  const count = async (table: keyof Tables): Promise<number> => {
    const { read } = bed.server.context.db
    const row = await read
      .selectFrom(table)
      .select(({ fn }) => fn.countAll<number>().as('count'))
      .executeTakeFirst()
    return Number(row?.count)
  }
  return Object.fromEntries(await Promise.all(tables.map(async table => [table, await count(table)] as const)))
}

const noRows = Object.fromEntries(tables.map(table => [table, 0]))

async function ids(bed: Bed): Promise<string[]> {
  return (await bed.client.runs({ limit: 500 })).items.map(run => String(run.run_id)).sort()
}

async function code(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    () => null,
    (cause: unknown) => cause,
  )
  return (error as { code?: string } | null)?.code ?? 'nothing was refused'
}

describe('deleting', () => {
  test('[RUN-90] a run that is over goes with all that belongs to it, and its id is free again', async () => {
    const { models } = wordy()
    await using folder = await temporaryDataFolder()
    await using bed = await openBed({ replace: { models }, dataDir: folder.path })
    await bed.client.deploy(chainPlan('chain', 3))
    const inputs = { c0: `data:text/plain,${long}` }
    await bed.client.startRun('chain', { inputs, run_id: 'gone' })
    await at(bed, 'gone', 'completed')
    await bed.client.override('gone', 'c2', { value: long, rerunDependents: true })
    await at(bed, 'gone', 'completed')
    expect(existsSync(join(folder.path, 'runs', 'gone'))).toBe(true)
    expect(await bed.client.deleteRun('gone')).toEqual({ status: 'deleted', run_id: 'gone' })
    expect(await rows(bed)).toEqual(noRows)
    expect(
      await bed.server.context.events.read({ organisation: 'default', runId: 'gone' }, { after: 0, limit: 10 }),
    ).toEqual([])
    expect(readdirSync(join(folder.path, 'runs'))).toEqual(['.incoming'])
    expect(await code(bed.client.run('gone'))).toBe('run.unknown')
    expect(await code(bed.client.deleteRun('gone'))).toBe('run.unknown')
    await bed.client.startRun('chain', { inputs, run_id: 'gone' })
    await at(bed, 'gone', 'completed')
  })

  test('[RUN-90] a run that is not over is not deleted', async () => {
    const { models, release } = scriptedModel(() => 'late', { held: true })
    await using bed = await openBed({ replace: { models } })
    await bed.client.deploy(chainPlan('chain', 2))
    await bed.client.deploy(personPlan('person'))
    await bed.client.startRun('chain', { inputs: { c0: 'x' }, run_id: 'busy' })
    await bed.client.startRun('person', { inputs: { question: '?' }, run_id: 'asks' })
    await at(bed, 'asks', 'waiting')
    for (const runId of ['busy', 'asks']) expect(await code(bed.client.deleteRun(runId))).toBe('run.state')
    await bed.client.pruneRuns({ olderThanDays: 0 })
    expect(await ids(bed)).toEqual(['asks', 'busy'])
    release()
    await at(bed, 'busy', 'completed')
  })

  test('[RUN-91] values stay as long as a run of the family does, and a package as long as a run', async () => {
    const { models } = wordy()
    await using folder = await temporaryDataFolder()
    await using bed = await openBed({ replace: { models }, dataDir: folder.path })
    await bed.client.deploy(chainPlan('chain', 3))
    await bed.client.startRun('chain', { inputs: { c0: 'x' }, run_id: 'root' })
    await at(bed, 'root', 'completed')
    await bed.client.fork('root', { step: 2, run_id: 'leaf' })
    await at(bed, 'leaf', 'completed')
    await bed.client.deletePlan('chain')
    const packages = (): number => readdirSync(join(folder.path, 'plans')).length - 1
    await bed.client.deleteRun('root')
    expect((await rows(bed))['run_value']).toBeGreaterThan(0)
    expect(packages()).toBe(1)
    const { items } = await bed.client.trace('leaf')
    expect(items.some(call => JSON.stringify(call.output).includes(long))).toBe(true)
    await bed.client.fork('leaf', { run_id: 'second' })
    await at(bed, 'second', 'completed')
    await bed.client.deleteRun('leaf')
    await bed.client.deleteRun('second')
    expect(await rows(bed)).toEqual(noRows)
    expect(packages()).toBe(0)
  })

  test('[RUN-92] what a crash has left of a deleted run is not seen and goes later; till then its id is not free', async () => {
    const { models } = wordy()
    await using folder = await temporaryDataFolder()
    {
      await using bed = await openBed({ replace: { models }, dataDir: folder.path })
      await bed.client.deploy(chainPlan('chain', 2))
      await bed.client.startRun('chain', { inputs: { c0: `data:text/plain,x` }, run_id: 'torn' })
      await at(bed, 'torn', 'completed')
      const { db } = bed.server.context
      const row = await db.read.selectFrom('run').selectAll().executeTakeFirstOrThrow()
      await db.transaction(tx => deleteRunRow(tx, { id: row.id, completed_at: row.completed_at ?? 0 }, Date.now()))
    }
    await using bed = await openBed({ replace: { models }, dataDir: folder.path })
    expect(await ids(bed)).toEqual([])
    expect((await rows(bed))['run_step']).toBe(2)
    const again = () => bed.client.startRun('chain', { inputs: { c0: 'x' }, run_id: 'torn' })
    expect(await code(again())).toBe('run.conflict')
    await bed.server.context.archives.retention.pass()
    expect(await rows(bed)).toEqual(noRows)
    expect(readdirSync(join(folder.path, 'runs'))).toEqual(['.incoming'])
    await again()
    await at(bed, 'torn', 'completed')
  })
})

describe('pruning', () => {
  test('[RUN-93] a request says how old and how many, and can be tried first', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    await bed.client.deploy(echoPlan('other'))
    for (const [index, runId] of ['a', 'b', 'c', 'd'].entries()) await age(bed, await echo(bed, runId), 10 - index)
    await age(bed, await echo(bed, 'e', 'other'), 9)
    const named = (reply: { readonly runs: readonly { readonly run_id: string }[] }) =>
      reply.runs.map(run => run.run_id).sort()
    const tried = await bed.client.pruneRuns({ olderThanDays: 8.5, dryRun: true })
    expect(named(tried)).toEqual(['a', 'b', 'e'])
    expect(tried).toMatchObject({ dry_run: true, more: false })
    expect(await ids(bed)).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(named(await bed.client.pruneRuns({ olderThanDays: 0, keep: 3, planId: 'echo' }))).toEqual(['a'])
    const first = await bed.client.pruneRuns({ olderThanDays: 0, limit: 2 })
    expect([named(first), first.more]).toEqual([['b', 'c'], true])
    expect(await ids(bed)).toEqual(['d', 'e'])
    const second = await bed.client.pruneRuns({ olderThanDays: 0, limit: 2 })
    expect([named(second), second.more]).toEqual([['d', 'e'], false])
    expect(await bed.client.call(api.pruneRuns, {})).toEqual({ dry_run: false, runs: [], more: false })
    await bed.server.context.archives.retention.settled()
    expect(await rows(bed)).toEqual(noRows)
  })

  test('[RUN-94] runs go by themselves when their plan, else the server, keeps them no longer', async () => {
    await using bed = await openBed({ settings: { retentionDays: 20, retentionRuns: 2 } })
    await bed.client.deploy(echoPlan('plain'))
    await bed.client.deploy(withRetention(echoPlan('short'), { days: 1.5, runs: 0 }))
    await bed.client.deploy(withRetention(echoPlan('kept'), { days: 0, runs: 0 }))
    for (const plan of ['plain', 'short', 'kept']) {
      for (const days of [30, 5, 3, 1]) await age(bed, await echo(bed, `${plan}${days}`, plan), days)
      await echo(bed, `${plan}0`, plan)
    }
    await bed.server.context.archives.retention.pass()
    expect(await ids(bed)).toEqual(
      ['kept0', 'kept1', 'kept3', 'kept30', 'kept5', 'plain0', 'plain1', 'short0', 'short1'].sort(),
    )
    expect((await rows(bed))['run_remains']).toBe(0)
  })

  test('[RUN-94] a run that has just ended or was just imported stays, however many there are', async () => {
    await using bed = await openBed({ settings: { retentionDays: 2, retentionRuns: 1 } })
    await bed.client.deploy(echoPlan('echo'))
    for (const runId of ['a', 'b', 'c']) await echo(bed, runId)
    await age(bed, 'a', 10)
    const archive = new Uint8Array(await new Response(await bed.client.exportRun('a')).arrayBuffer())
    await bed.client.deleteRun('a')
    await bed.client.importRun(archive)
    await bed.server.context.archives.retention.pass()
    expect(await ids(bed)).toEqual(['a', 'b', 'c'])
  })

  test('[RUN-95] two looks at the same time delete each run once', async () => {
    await using bed = await openBed()
    await bed.client.deploy(echoPlan('echo'))
    for (const runId of ['a', 'b', 'c', 'd', 'e', 'f']) await echo(bed, runId)
    const replies = await Promise.all([1, 2, 3].map(() => bed.client.pruneRuns({ olderThanDays: 0 })))
    expect(replies.flatMap(reply => reply.runs.map(run => String(run.run_id))).sort()).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
      'f',
    ])
    await bed.server.context.archives.retention.settled()
    expect(await rows(bed)).toEqual(noRows)
  })
})

describe('compaction', () => {
  test('[RUN-96] the folder of a run that is over keeps what differs from its package, and is whole when it goes on', async () => {
    await using folder = await temporaryDataFolder()
    await using bed = await openBed({ dataDir: folder.path })
    const file = 'provisions/scripts/change.py'
    const script = [
      'import os',
      'def main(input_1, **kwargs):',
      '    if os.path.exists("away.txt"):',
      '        os.remove("away.txt")',
      '    with open("changed.txt", "a") as out:',
      '        out.write("more")',
      '    return sorted(name for name in os.listdir(".") if name.endswith(".txt"))',
    ].join('\n')
    const texts = { 'away.txt': 'a', 'changed.txt': 'c', 'same.txt': 's', 'deep/er/same.txt': 'd' }
    const step = {
      flowIndex: '1',
      gives: '{names}',
      takes: ['{q}'],
      paradigm: 'v_ScriptLocation-h_Literal-c_Execute-o_Literal',
      file,
    }
    await bed.client.deploy(
      smallPlan({
        name: 'changing',
        inputs: ['{q}'],
        finals: ['{names}'],
        steps: [step],
        files: { ...texts, [file]: script },
      }),
    )
    await bed.client.startRun('changing', { inputs: { q: 'x' }, run_id: 'slim' })
    await at(bed, 'slim', 'completed')
    const { files } = await bed.client.result('slim')
    await age(bed, 'slim', 1)
    await bed.server.context.archives.retention.pass()
    const work = join(folder.path, 'runs', 'slim', 'workspace')
    expect(readdirSync(work)).toEqual(['changed.txt'])
    expect((await bed.client.result('slim')).files).toEqual(files)
    expect(Buffer.from(await bed.client.runFile('slim', 'deep/er/same.txt')).toString()).toBe('d')
    expect(await code(bed.client.runFile('slim', 'away.txt'))).toBe('plan.file_unknown')
    const { run_id: fork } = await bed.client.fork('slim', { step: 0 })
    await at(bed, fork, 'completed')
    expect((await bed.client.result(fork)).final_concepts[0]?.value).toEqual(['changed.txt', 'same.txt'])
    await bed.client.rerunFrom('slim', '1')
    await at(bed, 'slim', 'completed')
    expect((await bed.client.result('slim')).final_concepts[0]?.value).toEqual(['changed.txt', 'same.txt'])
    expect(readdirSync(work).sort()).toContain('same.txt')
    expect(Buffer.from(await bed.client.runFile('slim', 'changed.txt')).toString()).toBe('cmoremore')
  })

  test('[RUN-97] what deleted runs took is given back to the disk', async () => {
    const { models } = scriptedModel(prompt => `${prompt.length} ${'x'.repeat(400_000)}`)
    await using folder = await temporaryDataFolder()
    await using bed = await openBed({ replace: { models }, dataDir: folder.path })
    await bed.client.deploy(chainPlan('chain', 8))
    await bed.client.startRun('chain', { inputs: { c0: 'x' }, run_id: 'large' })
    await at(bed, 'large', 'completed')
    const { db, archives } = bed.server.context
    const pages = async (): Promise<number> => {
      const { sql } = await import('kysely')
      const { rows: found } = await sql<{ page_count: number }>`pragma page_count`.execute(db.read)
      return found[0]?.page_count ?? 0
    }
    const before = await pages()
    await bed.client.deleteRun('large')
    await archives.retention.pass()
    expect(await pages()).toBeLessThan(before / 4)
  })
})

describe('files as answers', () => {
  const script = 'provisions/scripts/say.py'
  const asking = smallPlan({
    name: 'asking',
    inputs: ['{q}'],
    finals: ['{files}'],
    steps: [
      {
        flowIndex: '1.1',
        gives: '{said}',
        takes: ['{q}'],
        paradigm: 'v_ScriptLocation-h_Literal-c_Execute-o_Literal',
        file: script,
      },
      {
        flowIndex: '1.2',
        gives: '{files}',
        takes: ['{said}'],
        paradigm: 'h_UserPrompt-c_AskForMultipleFiles-o_FileLocationList',
      },
    ],
    files: { [script]: 'def main(input_1, **kwargs):\n    return "which?"\n' },
  })

  test('[RUN-88] a question for files is answered with the files', async () => {
    await using folder = await temporaryDataFolder()
    await using bed = await openBed({ dataDir: folder.path })
    await bed.client.deploy(asking)
    await bed.client.deploy(personPlan('person'))
    await bed.client.startRun('asking', { inputs: { q: 'which?' }, run_id: 'asks' })
    await at(bed, 'asks', 'waiting')
    const [question] = await bed.client.inputs({ runId: 'asks' })
    const id = question?.input_id ?? ''
    const content = (text: string): Uint8Array => new TextEncoder().encode(text)
    expect(await code(bed.client.uploadInput(id, []))).toBe('input.invalid')
    const { paths } = await bed.client.uploadInput(id, [
      { name: '../../etc/pass wd.txt', content: content('one') },
      { name: 'pass wd.txt', content: content('two') },
    ])
    expect(paths.map(path => path.split('/').at(-1))).toEqual(['pass-wd.txt', 'pass-wd-2.txt'])
    await expect.poll(async () => (await bed.client.run('asks')).completed_at, { timeout: 50_000 }).not.toBe(null)
    expect(await bed.client.run('asks')).toMatchObject({ status: 'completed', error: null })
    expect(JSON.stringify((await bed.client.result('asks')).final_concepts[0]?.value)).toContain(paths[0])
    for (const root of ['uploads', 'workspace'])
      expect(paths.map(path => readFileSync(join(folder.path, 'runs', 'asks', root, path), 'utf8'))).toEqual([
        'one',
        'two',
      ])
    expect(Buffer.from(await bed.client.runFile('asks', paths[1] ?? '')).toString()).toBe('two')
    expect(await code(bed.client.uploadInput(id, [{ name: 'late.txt', content: content('late') }]))).toBe(
      'question.unknown',
    )
    expect(readdirSync(join(folder.path, 'runs', '.incoming'))).toEqual([])
    await bed.client.startRun('person', { inputs: { question: 'who?' }, run_id: 'text' })
    await at(bed, 'text', 'waiting')
    const [other] = await bed.client.inputs({ runId: 'text' })
    const wrong = bed.client.uploadInput(other?.input_id ?? '', [{ name: 'a.txt', content: content('a') }])
    expect(await code(wrong)).toBe('input.invalid')
  })
})
