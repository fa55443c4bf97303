import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { createClient, type Client } from '@slipway/sdk/client'
import { temporaryFolder } from '@slipway/server/app/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { personPlan, smallPlan } from '../../../tests/testbed/small-plans.ts'
import { startSlipway, type Server } from '../../../tests/testbed/slipway.ts'

let server: Server
/** For what a test finds there already: each command is a process of its own. */
let client: Client
beforeAll(async () => {
  server = await startSlipway()
  client = createClient({ url: server.url })
  await client.deploy(chainPlan('chain'))
  await client.deploy(personPlan('asking'))
})
afterAll(() => server[Symbol.asyncDispose]())

const passOn = 'h_Data-c_PassThrough-o_Normal'

/** Three steps, one behind the other, that pass a value on. */
function chainPlan(name: string): Uint8Array {
  return smallPlan({
    name,
    inputs: ['{a}'],
    finals: ['{d}'],
    steps: [
      { flowIndex: '1.1', gives: '{b}', takes: ['{a}'], paradigm: passOn },
      { flowIndex: '1.2', gives: '{c}', takes: ['{b}'], paradigm: passOn },
      { flowIndex: '1.3', gives: '{d}', takes: ['{c}'], paradigm: passOn },
    ],
  })
}

async function ok(...args: readonly string[]): Promise<string> {
  const end = await server.cli(args)
  expect(end, end.stderr).toMatchObject({ code: 0 })
  return end.stdout
}

async function data<T = Record<string, unknown>>(...args: readonly string[]): Promise<T> {
  return parseJson(await ok(...args, '--json')) as T
}

async function reaches(id: string, status: string): Promise<void> {
  await expect.poll(async () => (await client.run(id)).status, { timeout: 20_000 }).toBe(status)
}

async function finished(value: unknown = 'one'): Promise<string> {
  const { run_id: id } = await client.startRun('chain', { inputs: { a: value } })
  await reaches(id, 'completed')
  return id
}

async function heldAt(...breakpoints: string[]): Promise<string> {
  const { run_id: id } = await client.startRun('chain', { inputs: { a: 'one' }, breakpoints })
  await reaches(id, 'paused')
  return id
}

async function resultOf(id: string): Promise<unknown> {
  return (await client.result(id)).final_concepts[0]?.value
}

describe('going step by step', () => {
  test('[CLI-23] [CLI-24] a run is held, steps, goes to a step and to its end', async () => {
    const id = (await ok('run', 'chain', '-i', 'a=one', '--break', '1.1', '-q')).trim()
    await reaches(id, 'paused')
    const step = await ok('step', id)
    expect(step).toMatch(/1\.1 #1 +completed +\{b\}/)
    expect(step).toContain('Held before step 1.2')
    const there = await data<{ run: object; steps: object[] }>('run-to', id, '1.2')
    expect(there).toMatchObject({
      run: { status: 'paused', held: { by: 'run_to', flow_index: '1.2' } },
      steps: [{ flow_index: '1.2', status: 'completed' }],
    })
    expect(await ok('step', id, '-n', '5')).toContain('completed: 3 of 3 steps done')
    expect((await server.cli(['step', id])).stderr).toContain('[run.state]')
  })

  test('[CLI-23] breakpoints are set, listed and cleared', async () => {
    const id = await heldAt('1.2')
    expect(await ok('break', id)).toContain('pauses before 1.2.')
    expect(await data('break', id, '1.3')).toMatchObject({ breakpoints: ['1.2', '1.3'] })
    expect(await data('break', id, '--clear', '1.2')).toMatchObject({ breakpoints: ['1.3'] })
    expect(await ok('break', id, '--clear', '--all')).toContain('has no breakpoints')
    expect(await server.cli(['break', id, '--clear'])).toMatchObject({ code: 2 })
    expect(await server.cli(['break', id, '--all'])).toMatchObject({ code: 2 })
    expect((await server.cli(['break', id, '7.7'])).stderr).toContain('[step.unknown]')
    await ok('resume', id)
    await reaches(id, 'completed')
  })

  test('[CLI-23] [CLI-32] a watcher is told where a run is held and sees it end; a resumed one shows only what is new', async () => {
    const id = await heldAt('1.2', '1.3')
    const watching = ok('watch', id)
    const resumed = await server.cli(['resume', id, '--watch', '--timeout', '1']).then(end => end.code)
    expect(resumed).toBe(2)
    await ok('resume', id)
    await reaches(id, 'paused')
    await expect.poll(async () => (await client.run(id)).held).toMatchObject({ flow_index: '1.3' })
    const shown = await ok('resume', id, '--watch')
    expect(shown).not.toContain('1.1 {b}')
    expect(shown).toMatch(/1\.3 \{d\}[^]*completed: 3 of 3[^]*one/)
    const watched = await watching
    expect(watched).toMatch(/breakpoint of step 1\.2[^]*slipway step [^]*breakpoint of step 1\.3[^]*completed: 3 of 3/)
  })
})

describe('looking into a run', () => {
  test('[CLI-25] concepts, cells, checkpoints and history', async () => {
    const id = await finished()
    expect(await ok('inspect', id)).toMatch(/\{a\} +complete +ground[^]*\{d\} +complete +final/)
    expect(await ok('inspect', id, '{c}')).toMatch(/\{c\}: .*written at step 2\n {2}%\w+\(one\)/)
    expect(await ok('inspect', id, 'c', '--step', '1')).toContain('no value')
    expect(await ok('inspect', id, '{c}', '--history')).toMatch(/^2 +1\.2 +#1 .*one/m)
    expect(await data('inspect', id, '{c}', '--at', 'axis_0=0')).toMatchObject({ fixed: { axis_0: 0 } })
    expect((await server.cli(['inspect', id, '{nope}'])).stderr).toContain('[concept.unknown]')
    expect(await server.cli(['inspect', id, '--history'])).toMatchObject({ code: 2 })
  })

  test('[CLI-27] records, words and events, also of one step', async () => {
    const id = await finished()
    expect((await ok('steps', id)).trim().split('\n')).toHaveLength(3)
    expect(await ok('steps', id, '--flow-index', '1.2')).toMatch(/^ +2 .*1\.2 #1 +completed +\{c\}\n$/)
    const first = await server.cli(['steps', id, '-n', '1'])
    expect(first.stderr).toContain('--after 1')
    expect(await ok('steps', id, '-n', '1', '--after', '1')).toContain('1.2 #1')
    const words = await ok('logs', id, '--level', 'info', '--flow-index', '1.2')
    expect(words).toContain('Step 1.2 completed')
    expect(words).not.toContain('Step 1.1')
    expect((await server.cli(['logs', id, '--level', 'error'])).stderr).toContain('Nothing of that kind')
    expect(await ok('logs', id, '--flow-index', '1.3')).not.toContain('flow_index=1.2')
    expect(await server.cli(['logs', id, '--level', 'info', '--trace'])).toMatchObject({ code: 2 })
  })
})

describe('changing a run', () => {
  test('[CLI-26] another value, with what depends on it done again; who did it is kept', async () => {
    const id = await finished()
    const end = await server.cli(['override', id, '{b}', '"two"', '--rerun'])
    expect(end).toMatchObject({ code: 0 })
    expect(end.stderr).toContain('1.2, 1.3')
    await expect
      .poll(async () => [(await client.run(id)).status, await resultOf(id).catch(() => null)])
      .toEqual(['completed', 'two'])
    expect(await ok('commands', id)).toMatch(/override +applied/)
  })

  test('[CLI-26] a step and all behind it is executed again', async () => {
    const id = await finished()
    const end = await server.cli(['rerun', id, '1.2'])
    expect(end.stderr).toContain('1.2, 1.3')
    await reaches(id, 'completed')
    const records = await data<{ items: { flow_index: string | null; kind: string }[] }>('steps', id)
    expect(records.items.filter(({ kind }) => kind === 'step').map(({ flow_index }) => flow_index)).toEqual([
      '1.1',
      '1.2',
      '1.3',
      '1.2',
      '1.3',
    ])
    expect((await server.cli(['rerun', id, '7.7'])).stderr).toContain('[step.unknown]')
  })

  test('[CLI-26] a step is changed in this run only, when it is said how', async () => {
    const id = await heldAt('1.2')
    expect(await server.cli(['modify', id, '1.2'])).toMatchObject({ code: 2 })
    expect(await ok('modify', id, '1.2', '--paradigm', 'h_UserPrompt-c_Ask-o_Normal')).toContain('changed in this run')
    await ok('resume', id)
    await reaches(id, 'waiting')
    await ok('answer', id, 'by hand')
    await reaches(id, 'completed')
    expect(await resultOf(id)).toBe('by hand')
    expect(await resultOf(await finished())).toBe('one')
  })
})

describe('checkpoints', () => {
  test('[CLI-20] they are listed from either end, and by step', async () => {
    const id = await finished()
    const all = await data<{ items: { step: number }[] }>('checkpoints', id)
    expect(all.items.map(({ step }) => step)).toEqual([0, 1, 2, 3])
    const newest = await server.cli(['checkpoints', id, '--newest', '-n', '1'])
    expect(newest.stdout).toMatch(/^3 .*1\.3 +#1 +completed/m)
    expect(newest.stderr).toContain('--after 3')
    expect((await data<{ items: object[] }>('checkpoints', id, '--flow-index', '1.2')).items).toHaveLength(1)
    expect(await ok('checkpoints', id, '--cycle', '99')).toContain('No checkpoints')
    expect((await server.cli(['checkpoints', 'nope'])).stderr).toContain('[run.unknown]')
  })

  test('[CLI-20] a run that is over goes back to one and on from there', async () => {
    const id = await finished()
    expect((await server.cli(['resume', id])).stderr).toContain('--from <step>')
    expect(await server.cli(['resume', id, '--from', '1', '--cycle', '1'])).toMatchObject({ code: 2 })
    expect((await server.cli(['resume', id, '--from', '99'])).stderr).toContain('[checkpoint.unknown]')
    const shown = await ok('resume', id, '--from', '1', '--watch')
    expect(shown).toContain('back at step 1')
    expect(shown).toMatch(/1\.2 \{c\}[^]*completed: 3 of 3/)
  })

  test('[CLI-21] [CLI-22] a fork goes its own way, and the difference is shown', async () => {
    const source = await finished()
    const fork = (await ok('fork', source, '--from', '2', '--override', '{c}=three')).trim()
    await reaches(fork, 'completed')
    expect(await resultOf(fork)).toBe('three')
    expect(await resultOf(source)).toBe('one')
    const diff = await ok('diff', source, fork)
    expect(diff).toContain(`The same history up to step 2 of ${source}`)
    expect(diff).toMatch(/Results\n +\{d\}\n +- one\n +\+ three/)
    const inputs = await ok('fork', source, '-i', 'a=four', '--watch')
    expect(inputs).toMatch(/completed: 3 of 3[^]*four/)
    const named = await data('fork', source, '--run-id', 'my-fork', '--restart', '--break', '1.1')
    expect(named).toMatchObject({ run_id: 'my-fork', forked_from: { run_id: source } })
    expect((await server.cli(['fork', source, '--plan', 'nope'])).stderr).toContain('[plan.unknown]')
    expect(await server.cli(['fork', source, '--mode', 'nope'])).toMatchObject({ code: 2 })
  })
})

describe('questions', () => {
  const files = smallPlan({
    name: 'files',
    given: { '{start}': ['go'] },
    finals: ['{found}'],
    steps: [
      {
        flowIndex: '1',
        gives: '{found}',
        takes: ['{start}'],
        paradigm: 'h_UserPrompt-c_AskForMultipleFiles-o_FileLocationList',
      },
    ],
  })

  test('[CLI-9] a question for files is answered with them', async () => {
    await client.deploy(files)
    const { run_id: id } = await client.startRun('files')
    await expect.poll(() => client.inputs({ runId: id })).toHaveLength(1)
    await using folder = await temporaryFolder()
    const path = join(folder.path, 'a note.txt')
    await writeFile(path, 'hello')
    expect(await server.cli(['answer', id])).toMatchObject({ code: 2 })
    expect(await server.cli(['answer', id, '--file', '/not/there.txt'])).toMatchObject({ code: 2 })
    expect(await ok('answer', id, '--file', path)).toMatch(/Answered with .*note\.txt/)
    await reaches(id, 'completed')
  })

  test('[CLI-9] a question says until when it is open, and can be refused', async () => {
    const id = (await ok('run', 'asking', '-i', 'question=Well?', '--input-timeout', '1h', '-q')).trim()
    await expect.poll(() => client.inputs({ runId: id })).toHaveLength(1)
    expect(await ok('inputs', id)).toMatch(/step 1 until \d{4}-/)
    expect(await ok('inputs', 'cancel', id, '--reason', 'not mine')).toContain('Cancelled')
    await reaches(id, 'failed')
    expect((await server.cli(['inputs', 'cancel', id])).stderr).toContain('[question.unknown]')
  })
})

describe('runs as files', () => {
  test('[CLI-28] [CLI-29] a run is exported, deleted, and taken in again with its result', async () => {
    await using folder = await temporaryFolder()
    const id = await finished()
    const path = join(folder.path, 'run.zip')
    expect(await ok('runs', 'export', id, '-o', path)).toContain('Wrote')
    expect(await ok('runs', 'delete', id, '--yes')).toContain('Deleted')
    expect((await server.cli(['result', id])).stderr).toContain('[run.unknown]')
    expect(await ok('runs', 'import', path)).toContain(`Imported ${id}`)
    expect(await resultOf(id)).toBe('one')
  })

  test('[CLI-29] old runs go, the newest stay', async () => {
    await client.deploy(chainPlan('short-lived'))
    for (let n = 0; n < 3; n++) {
      const { run_id: id } = await client.startRun('short-lived', { inputs: { a: n } })
      await reaches(id, 'completed')
    }
    const args = ['runs', 'prune', '--plan', 'short-lived', '--older-than', '0', '--keep', '1']
    expect(await ok(...args, '--dry-run')).toContain('2 runs would go')
    expect((await data<{ runs: object[] }>(...args, '--yes')).runs).toHaveLength(2)
    expect((await client.runs({ limit: 10 })).items.filter(({ plan_id }) => plan_id === 'short-lived')).toHaveLength(1)
  })
})
