import { once } from 'node:events'
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packPlan } from '@slipway/engine/plan/pack'
import { parseJson } from '@slipway/kit/json'
import { createClient, type Client } from '@slipway/sdk/client'
import { followRun } from '@slipway/sdk/event-stream'
import { temporaryFolder } from '@slipway/server/app/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { examplePackage } from '../../../examples/testbed.ts'
import { echoPlan, personPlan } from '../../../tests/testbed/small-plans.ts'
import { examplePlans, slipway, spawnSlipway, startSlipway, type Server } from '../../../tests/testbed/slipway.ts'

let server: Server
/** For what a test finds there already: each command is a process of its own. */
let client: Client
beforeAll(async () => {
  server = await startSlipway()
  client = createClient({ url: server.url })
})
afterAll(() => server[Symbol.asyncDispose]())

const addition = join(examplePlans, 'long-addition')
const triage = join(examplePlans, 'triage')
const numbers = ['-i', 'first number=99', '-i', '{second number}=1']
const urgent = 'message=URGENT: our production server is down and we lose money every minute.'

const containing = (text: string): unknown => expect.stringContaining(text)
const having = (items: readonly unknown[]): unknown => expect.arrayContaining([...items])
const aText: unknown = expect.any(String)

/** JSON output, read loosely: the assertions say what is expected of it. */
function json(text: string): Record<string, unknown> {
  return parseJson(text) as Record<string, unknown>
}

async function deploy(name: string): Promise<void> {
  await client.deploy(packPlan(await examplePackage(name)), { replace: true })
}

describe('deploying', () => {
  test('[CLI-5] a folder and its zip are the same package; a dry run stores nothing', async () => {
    await using folder = await temporaryFolder()
    const zip = join(folder.path, 'p.zip')
    const dry = await server.cli(['deploy', triage, '--dry-run', '--json'])
    expect(json(dry.stdout)).toMatchObject({ status: 'valid', plan_id: 'triage' })
    expect(json((await server.cli(['plans', '--json'])).stdout)).not.toContainEqual(
      expect.objectContaining({ id: 'triage' }),
    )
    expect((await server.cli(['deploy', triage])).stdout).toContain('Deployed triage')
    await slipway(['pack', triage, '-o', zip])
    expect((await server.cli(['deploy', zip])).stdout).toContain('was deployed already')
    expect((await server.cli(['plans', 'triage'])).stdout).toMatch(/message = \{message\}.*required/)
  })

  test('[CLI-5] [CLI-2] a broken plan is refused with every problem', async () => {
    await using folder = await temporaryFolder()
    await cp(addition, folder.path, { recursive: true })
    const path = join(folder.path, 'inference_repo.json')
    await writeFile(path, (await readFile(path, 'utf8')).replaceAll('"assigning"', '"wishing"'))
    const { code, stdout, stderr } = await server.cli(['deploy', folder.path])
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/\[plan\.invalid\][^]*error +inference_repo\.json#[^]*wishing[^]*→/)
  })

  test('[CLI-1] a version with other content is a conflict unless it replaces', async () => {
    await using folder = await temporaryFolder()
    await cp(addition, folder.path, { recursive: true })
    await deploy('long-addition')
    await writeFile(join(folder.path, 'provisions', 'note.txt'), 'changed')
    const refused = await server.cli(['deploy', folder.path])
    expect(refused.code).toBe(1)
    expect(refused.stderr).toContain('[plan.conflict]')
    expect((await server.cli(['deploy', folder.path, '--replace'])).code).toBe(0)
    expect((await server.cli(['deploy', addition, '--replace'])).code).toBe(0)
  })

  test('[CLI-18] an earlier version comes back, and a plan goes with its runs', async () => {
    await client.deploy(personPlan('changing'))
    await client.deploy(echoPlan('changing', { version: '2.0.0' }))
    const rolled = await server.cli(['rollback', 'changing', '1.0.0'])
    expect(rolled.stdout).toContain('New runs of changing take version 1.0.0.')
    const { run_id: id } = await client.startRun('changing', { inputs: { question: 'x' } })
    expect((await server.cli(['undeploy', 'changing'])).stderr).toContain('[plan.busy]')
    expect((await server.cli(['undeploy', 'changing', '--force'])).stdout).toContain('Stopped 1 run(s).')
    expect(await client.run(id)).toMatchObject({ status: 'failed', error: { reason: 'cancelled' } })
    expect((await server.cli(['rollback', 'changing', '2.0.0'])).stderr).toContain('[plan.unknown]')
  })

  test('[CLI-19] a run is paused and goes on', async () => {
    await client.deploy(personPlan('asking'))
    const { run_id: id } = await client.startRun('asking', { inputs: { question: 'x' } })
    expect((await server.cli(['pause', id])).stdout).toContain(`slipway resume ${id}`)
    await expect.poll(async () => (await client.run(id)).status).toBe('paused')
    expect((await server.cli(['resume', id])).stdout).toContain(id)
    expect((await server.cli(['resume', id])).stderr).toContain('[run.state]')
    await client.stop(id)
  })
})

describe('running', () => {
  beforeAll(async () => {
    await deploy('long-addition')
    await deploy('triage')
  })

  test('[CLI-6] a watched run shows its steps and then its result', async () => {
    const { code, stdout } = await server.cli(['run', 'long-addition', ...numbers, '--watch'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/\[0\/9\] running +1\.2 \[columns\]/)
    expect(stdout).toMatch(/\[9\/9\] done +1 \{sum\}/)
    expect(stdout).toMatch(/completed: 9 of 9 steps done[^]*\{sum\}\n {2}100\n/)
  })

  test('[CLI-3] [CLI-4] as JSON there is one document, and numbers of any length are exact', async () => {
    const big = ['-i', 'first number=123456789012345678901234567890', '-i', 'second number=1']
    const { code, stdout } = await server.cli(['run', 'long-addition', ...big, '--watch', '--json', '--quiet'])
    expect(code).toBe(0)
    expect(json(stdout)).toMatchObject({ run: { status: 'completed' }, result: { plan_id: 'long-addition' } })
    expect(stdout).toContain('123456789012345678901234567891')
  })

  test('[CLI-1] a run that fails is exit code 1 and says why', async () => {
    const { code, stdout } = await server.cli(['run', 'long-addition', ...numbers, '--watch', '--max-cycles', '2'])
    expect(code).toBe(1)
    expect(stdout).toMatch(/failed:[^]*\[max_cycles\]/)
    const id = /run_\w+/.exec(stdout)?.[0] ?? ''
    expect((await server.cli(['result', id])).code).toBe(1)
  })

  test('[CLI-4] a file and standard input', async () => {
    await using folder = await temporaryFolder()
    const file = join(folder.path, 'n.txt')
    await writeFile(file, '40')
    const inputs = ['-i', `first number=@${file}`, '-i', 'second number=@-']
    const { stdout } = await server.cli(['run', 'long-addition', ...inputs, '-w'], { input: '2' })
    expect(stdout).toMatch(/\{sum\}\n {2}42/)
  })

  test('[CLI-9] [CLI-11] a run that waits says how to answer, shows its log meanwhile, and goes on once it is answered', async () => {
    const started = await server.cli(['run', 'triage', '-i', urgent, '--quiet'])
    const id = started.stdout.trim()
    await expect.poll(() => client.inputs({ runId: id }), { timeout: 30_000 }).toHaveLength(1)
    const asked = await server.cli(['inputs', id, '--json'])
    const [question = {}] = parseJson(asked.stdout) as Record<string, unknown>[]
    expect((await server.cli(['inputs'])).stdout).toContain(`slipway answer ${String(question['input_id'])}`)
    expect((await server.cli(['logs', id])).stdout).toContain('user_input:request')
    expect((await server.cli(['answer', id, 'Call them back'])).stdout).toContain('Answered')
    const logs = await server.cli(['logs', id, '--follow', '--type', 'run:', '--json'])
    expect(
      logs.stdout
        .trim()
        .split('\n')
        .map(line => json(line)['event']),
    ).toEqual(['run:queued', 'run:started', 'run:completed'])
    const result = await server.cli(['result', id])
    expect(result).toMatchObject({ code: 0 })
    expect(result.stdout).toContain('Call them back')
    const trace = await server.cli(['logs', id, '--trace', '--type', 'model.', '--full'])
    expect(trace.stdout).toMatch(/model\.generate[^]*support message/)
  })

  test('[CLI-8] Ctrl-C leaves the run alone; stop ends it', async () => {
    const child = spawnSlipway(['run', 'triage', '-i', urgent, '--watch'], { env: { SLIPWAY_URL: server.url } })
    let said = ''
    const asked = Promise.withResolvers<void>()
    child.stdout?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
      if (said.includes('slipway answer')) asked.resolve()
    })
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    await asked.promise
    child.kill('SIGINT')
    await once(child, 'close')
    const id = /run_\w+/.exec(said)?.[0] ?? ''
    expect(child.exitCode).toBe(130)
    expect(said).toContain(`slipway stop ${id}`)
    expect((await server.cli(['runs', '--status', 'waiting', '--json'])).stdout).toContain(id)
    expect((await server.cli(['stop', id, '--reason', 'enough'])).code).toBe(0)
    const followed = await server.cli(['logs', id, '--follow'])
    expect(followed.stdout).toContain('run:failed')
    expect((await server.cli(['stop', id])).stderr).toContain('[run.state]')
  })

  test('[CLI-30] a run that passes its time limit fails, also while it waits for a person', async () => {
    const { code, stdout } = await server.cli(['run', 'triage', '-i', urgent, '--watch', '--timeout', '1s'])
    expect(code).toBe(1)
    expect(stdout).toContain('[timeout]')
  })

  test('[CLI-10] runs come filtered and page by page', async () => {
    for (let n = 0; n < 2; n++) {
      const { run_id: id } = await client.startRun('long-addition', { inputs: { first_number: 99, second_number: 1 } })
      await Array.fromAsync(followRun(client, id))
    }
    const first = json(
      (await server.cli(['runs', '--plan', 'long-addition', '--status', 'completed', '-n', '1', '--json'])).stdout,
    )
    expect(first).toMatchObject({
      items: [{ plan_id: 'long-addition', status: 'completed' }],
      next: aText,
    })
    const second = await server.cli([
      'runs',
      '--plan',
      'long-addition',
      '-n',
      '1',
      '--after',
      String(first['next']),
      '--json',
    ])
    expect(json(second.stdout)['items']).not.toEqual(first['items'])
    expect((await server.cli(['runs', '-n', '1'])).stderr).toContain('--after')
  })

  test('[CLI-2] an unknown plan is named together with those that are there', async () => {
    const { code, stderr } = await server.cli(['run', 'nope'])
    expect(code).toBe(2)
    expect(stderr).toMatch(/long-addition.*\[plan\.unknown\]/)
    expect((await server.cli(['run', 'long-addition'])).stderr).toMatch(/\[input\.\w+\]/)
  })
})

describe('without a server', () => {
  test('[CLI-1] exit codes of wrong use and of no server', async () => {
    const env = { SLIPWAY_URL: 'http://127.0.0.1:9' }
    expect(await slipway(['plans'], { env })).toMatchObject({ code: 3, stderr: containing('slipway up') })
    expect(await slipway(['frobnicate'])).toMatchObject({ code: 2 })
    expect(await slipway(['run', 'x', '--max-cycles', 'many'])).toMatchObject({ code: 2 })
    expect(await slipway(['run', 'x', '-i', 'novalue'], { env })).toMatchObject({ code: 2 })
    expect(await slipway(['check', '/not/there'])).toMatchObject({
      code: 2,
      stderr: containing('/not/there'),
    })
    expect(await slipway(['--help'])).toMatchObject({ code: 0 })
    expect(await slipway(['--version'])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string,
    })
  })

  test('[CLI-12] check lists every problem of folders and archives', async () => {
    await using folder = await temporaryFolder()
    const zip = join(folder.path, 'p.zip')
    await slipway(['pack', addition, '-o', zip])
    expect(await slipway(['check', addition])).toMatchObject({ code: 0, stdout: containing('0 errors') })
    expect(await slipway(['check', zip, '--json'])).toMatchObject({
      code: 0,
      stdout: containing('"valid": true'),
    })
    await cp(addition, join(folder.path, 'broken'), { recursive: true })
    await writeFile(join(folder.path, 'broken', 'concept_repo.json'), '[]')
    const { code, stdout } = await slipway(['check', join(folder.path, 'broken'), '--json'])
    expect(code).toBe(1)
    const { problems } = json(stdout) as { problems: Record<string, string>[] }
    expect(problems.length).toBeGreaterThan(1)
    for (const problem of problems) expect(Object.keys(problem)).toEqual(having(['path', 'code', 'message', 'hint']))
    await writeFile(join(folder.path, 'junk.zip'), 'junk')
    expect(await slipway(['check', join(folder.path, 'junk.zip')])).toMatchObject({
      code: 1,
      stderr: containing('[archive.invalid]'),
    })
  })

  test('[CLI-12] compile writes what the example has; pack gives the same bytes again', async () => {
    await using folder = await temporaryFolder()
    const out = join(folder.path, 'out')
    expect(await slipway(['compile', join(addition, 'long-addition.pf.ncd'), '--out', out])).toMatchObject({ code: 0 })
    for (const name of ['concept_repo.json', 'inference_repo.json'])
      expect(json(await readFile(join(out, name), 'utf8'))).toEqual(json(await readFile(join(addition, name), 'utf8')))
    const [a, b] = [join(folder.path, 'a.zip'), join(folder.path, 'b.zip')]
    await slipway(['pack', addition, '-o', a])
    await slipway(['pack', addition, '-o', b], { env: { TZ: 'Asia/Tokyo' } })
    expect((await readFile(a)).equals(await readFile(b))).toBe(true)
  })

  test('[CLI-13] config shows values, where they come from, and no secret', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'config'))
    await writeFile(join(folder.path, 'config', 'server.yaml'), 'execution:\n  max_concurrent_runs: 7\n')
    const env = { SLIPWAY_PORT: '8123', SLIPWAY_API_TOKEN: 'a-very-secret-token' }
    const { code, stdout } = await slipway(['config', '--data', folder.path, '--json'], { env })
    expect(code).toBe(0)
    expect(stdout).not.toContain('a-very-secret-token')
    expect(json(stdout)['settings']).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ name: 'port', value: 8123, source: 'SLIPWAY_PORT' }),
        expect.objectContaining({ name: 'maxConcurrentRuns', value: 7, source: 'config/server.yaml' }),
        expect.objectContaining({ name: 'host', value: '127.0.0.1', source: 'default' }),
        expect.objectContaining({ name: 'apiToken', value: '********' }),
      ]),
    )
    expect((await slipway(['config'], { env })).stdout).not.toContain('a-very-secret-token')
    expect(await slipway(['config'], { env: { SLIPWAY_PORT: 'x' } })).toMatchObject({ code: 1 })
  })

  test('[CLI-14] doctor looks at everything, also at the keys of agents', async () => {
    await using folder = await temporaryFolder()
    await mkdir(join(folder.path, 'config'))
    const agents =
      'agents:\n  a: {provider: openai, model: m, api_key_env: KEY_A}\n  b: {provider: openai, model: m, api_key_env: KEY_B}\n'
    await writeFile(join(folder.path, 'config', 'agents.yaml'), agents)
    const env = { KEY_A: 'value-of-key-a', SLIPWAY_URL: 'http://127.0.0.1:9' }
    const { code, stdout } = await slipway(['doctor', '--data', folder.path, '--json'], { env })
    expect(code).toBe(0)
    expect(stdout).not.toContain('value-of-key-a')
    const { findings } = json(stdout) as { findings: { name: string; state: string }[] }
    const states = Object.fromEntries(findings.map(({ name, state }) => [name, state]))
    expect(states).toMatchObject({
      node: 'ok',
      'data folder': 'ok',
      'agent a': 'ok',
      'agent b': 'note',
      server: 'note',
    })
    expect(Object.keys(states)).toEqual(having(['port', 'python3', 'bubblewrap']))
    expect((await server.cli(['doctor'])).stdout).toContain(`${server.url} answers`)
  })

  test('[CLI-15] up stops its server in order and hands on what it was told', async () => {
    const own = await startSlipway({ env: { SLIPWAY_MAX_CONCURRENT_RUNS: '3' } })
    expect((await own.cli(['plans'])).stdout).toContain('slipway deploy')
    expect(await own.stop()).toBe(0)
    expect((await own.cli(['plans'])).code).toBe(3)
    await own[Symbol.asyncDispose]()
    const refused = await slipway(['up', '--host', '0.0.0.0', '--port', '0'])
    expect(refused).toMatchObject({ code: 2, stderr: containing('SLIPWAY_API_TOKEN') })
  })
})
