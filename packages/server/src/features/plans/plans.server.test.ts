import { existsSync, readdirSync, renameSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { join } from 'node:path'
import { sleep } from '@slipway/kit/abort'
import { PlanDetails, PlanGraph, PlanId, PlanSummary } from '@slipway/protocol/plans'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { openBed, planFiles, planZip, refusalOf, type Bed, type Reply } from './testing.ts'
import { forgeZip } from './zip-forge.ts'

const ref = { organisation: 'default', planId: PlanId.parse('hand-on') }
const asZip = { 'content-type': 'application/zip' }

function digestIn({ body }: Reply): string {
  return z.object({ digest: z.string() }).parse(body).digest
}

function folderOf(reply: Reply): string {
  return digestIn(reply).slice('sha256:'.length)
}

async function details(bed: Bed): Promise<PlanDetails> {
  return PlanDetails.parse((await bed.ask('/api/plans/hand-on')).body)
}

function form(...fields: [name: string, content: Buffer | string][]): RequestInit {
  const data = new FormData()
  for (const [name, content] of fields) {
    if (typeof content === 'string') data.append(name, content)
    else data.append(name, new Blob([new Uint8Array(content)]), 'a.zip')
  }
  return { method: 'POST', body: data }
}

describe('deploying', () => {
  test('[PLANS-1] a form, a body and the alias are one', async () => {
    await using bed = await openBed()
    const zip = planZip()
    expect(await bed.ask('/api/plans/deploy', form(['note', 'x'], ['plan', zip]))).toMatchObject({
      status: 201,
      body: { status: 'deployed', plan_id: 'hand-on', plan_name: 'hand-on', version: '1.0.0', problems: [] },
    })
    for (const type of ['application/zip', 'application/octet-stream', 'application/x-zip-compressed']) {
      const headers = { 'content-type': type }
      const reply = await bed.ask('/api/plans/deploy-file', { method: 'POST', headers, body: new Uint8Array(zip) })
      expect(reply).toMatchObject({ status: 200, body: { status: 'unchanged' } })
    }
    expect(bed.stored()).toHaveLength(1)
  })

  test('[PLANS-1] a deployed plan is listed, described, drawn and read', async () => {
    await using bed = await openBed()
    const reply = await bed.deploy(
      planZip({ description: 'Hands a number on.' }, [{ name: 'provisions/a.bin', content: Buffer.from([0xff, 0]) }]),
    )
    const listed = z.array(PlanSummary).parse((await bed.ask('/api/plans')).body)
    expect(listed).toMatchObject([
      { id: 'hand-on', version: '1.0.0', digest: digestIn(reply), step_count: 1, dialect: '2026-01' },
    ])
    expect(listed[0]?.inputs).toMatchObject({ '{number}': { required: true, has_default: false } })
    expect(Object.keys(listed[0]?.outputs ?? {})).toEqual(['{result}'])
    expect(await details(bed)).toMatchObject({
      description: 'Hands a number on.',
      versions: [{ version: '1.0.0', active: true, digest: digestIn(reply) }],
      files: [
        { path: 'concept_repo.json' },
        { path: 'inference_repo.json' },
        { path: 'manifest.json' },
        { path: 'provisions/a.bin', size_bytes: 2 },
      ],
    })
    const graph = PlanGraph.parse((await bed.ask('/api/plans/hand-on/graph')).body)
    expect(graph.nodes.length).toBeGreaterThan(1)
    expect((await bed.ask('/api/plans/hand-on/files/manifest.json')).body).toMatchObject({
      encoding: 'utf-8',
      path: 'manifest.json',
    })
    expect((await bed.ask('/api/plans/hand-on/files/provisions/a.bin')).body).toEqual({
      path: 'provisions/a.bin',
      content: '/wA=',
      size: 2,
      encoding: 'base64',
    })
  })

  test.each([
    'package.json',
    '..%2fpackage.json',
    '%2e%2e/%2e%2e/slipway.db',
    'provisions',
    '%2fetc%2fpasswd',
    'manifest.json%00',
  ])('[PLANS-1] only files of the package are read: %s is none', async path => {
    await using bed = await openBed()
    await bed.deploy(planZip())
    const { status, body } = await bed.ask(`/api/plans/hand-on/files/${path}`)
    expect(status).toBe(404)
    expect(JSON.stringify(body)).toMatch(/"(plan|plan\.file|route)[._]unknown"/)
  })

  test('[PLANS-2] other uploads are told how', async () => {
    await using bed = await openBed()
    const post = (init: RequestInit) => bed.ask('/api/plans/deploy', { method: 'POST', ...init })
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded']) {
      const reply = await post({ headers: { 'content-type': type }, body: '{}' })
      expect(refusalOf(reply).code).toBe('body.unsupported')
      expect(JSON.stringify(reply.body)).toContain('multipart/form-data')
    }
    expect(refusalOf(await post({})).code).toBe('body.unsupported')
    const zip = planZip()
    const bad = [form(), form(['file', zip]), form(['plan', zip], ['plan', zip]), form(['plan', 'text'])]
    for (const init of bad) expect(refusalOf(await post(init)).code).toBe('input.invalid')
    const broken = {
      headers: { 'content-type': 'multipart/form-data; boundary=x' },
      body: '--x\r\ncontent-disposition: form-data; name="plan"; filename="a"\r\n\r\nabc',
    }
    expect(refusalOf(await post(broken)).code).toBe('input.invalid')
    expect(refusalOf(await post({ headers: { 'content-type': 'multipart/form-data' }, body: 'x' })).code).toBe(
      'input.invalid',
    )
    expect(bed.stored()).toEqual([])
  })

  test('[PLANS-12] a client that goes away leaves nothing', async () => {
    await using bed = await openBed()
    for (const headers of [asZip, { 'content-type': 'multipart/form-data; boundary=x' }]) {
      const client = request(`${bed.url}/api/plans/deploy`, {
        method: 'POST',
        headers: { ...headers, 'content-length': 1_000_000 },
      })
      client.on('error', () => undefined)
      client.write('--x\r\ncontent-disposition: form-data; name="plan"; filename="a"\r\n\r\nabc')
      while (bed.stored().length === 0) await sleep(5)
      client.destroy()
      while (bed.stored().length > 0) await sleep(5)
    }
    expect((await bed.ask('/api/plans')).body).toEqual([])
  })

  test('[PLANS-13] the digest is that of the content', async () => {
    await using bed = await openBed()
    const files = planFiles()
    const first = await bed.deploy(forgeZip(files))
    const variants = [
      forgeZip([...files].reverse()),
      forgeZip(files.map(file => ({ ...file, method: 0 }))),
      forgeZip(files.map(file => ({ ...file, name: `hand-on-main/${String(file.name)}` }))),
      forgeZip([...files, { name: '__MACOSX/._manifest.json', content: 'x' }, { name: '.DS_Store', content: 'x' }]),
      forgeZip(files, { prefix: Buffer.alloc(0) }),
    ]
    for (const zip of variants)
      expect(await bed.deploy(zip)).toMatchObject({ body: { status: 'unchanged', digest: digestIn(first) } })
    const other = await bed.deploy(forgeZip([...files, { name: 'a.txt' }]), '?dryRun=true')
    expect(digestIn(other)).not.toBe(digestIn(first))
  })

  test('[PLANS-14] other content under the same version is a conflict', async () => {
    await using bed = await openBed()
    const first = await bed.deploy(planZip())
    const changed = planZip({ description: 'changed' })
    expect(refusalOf(await bed.deploy(changed)).code).toBe('plan.conflict')
    expect(bed.stored()).toEqual([folderOf(first)])
    const second = await bed.deploy(changed, '?replace=true')
    expect(second).toMatchObject({ status: 201, body: { status: 'deployed' } })
    expect(bed.stored()).toEqual([folderOf(second)])
    expect((await details(bed)).versions).toHaveLength(1)
  })

  test('[PLANS-14] of two at once with the same version, one is a conflict', async () => {
    await using bed = await openBed()
    const replies = await Promise.all([
      bed.deploy(planZip({ description: 'a' })),
      bed.deploy(planZip({ description: 'b' })),
    ])
    expect(replies.map(reply => reply.status).sort()).toEqual([201, 409])
    expect(bed.stored()).toHaveLength(1)
  })

  test('[PLANS-16] a dry run changes nothing', async () => {
    await using bed = await openBed()
    expect(await bed.deploy(planZip(), '?dryRun=true')).toMatchObject({
      status: 200,
      body: { status: 'valid', plan_id: 'hand-on' },
    })
    expect(refusalOf(await bed.deploy(Buffer.from('x'), '?dryRun=true')).code).toBe('archive.invalid')
    expect(bed.stored()).toEqual([])
    expect((await bed.ask('/api/plans')).body).toEqual([])
  })

  test('[PLANS-19] missing Python packages are named', async () => {
    await using bed = await openBed({
      over: { missingPackages: names => Promise.resolve(names.filter(name => name !== 'json')) },
    })
    const reply = await bed.deploy(
      planZip({}, [{ name: 'python_requirements.txt', content: 'json\npandas\n# a comment\n' }]),
    )
    expect(reply).toMatchObject({
      status: 422,
      body: { error: { code: 'plan.requirements', details: { missing: ['pandas'] } } },
    })
    expect(JSON.stringify(reply.body)).toContain('pandas')
    expect(bed.stored()).toEqual([])
  })

  test('[PLANS-23] more uploads at a time than the server takes are turned away', async () => {
    await using bed = await openBed()
    const clients = Array.from({ length: 4 }, () => {
      const client = request(`${bed.url}/api/plans/deploy`, {
        method: 'POST',
        headers: { ...asZip, 'content-length': 100 },
      })
      client.on('error', () => undefined)
      client.write('x')
      return client
    })
    while (bed.stored().length < 4) await sleep(5)
    const reply = await bed.deploy(planZip())
    expect({ status: reply.status, code: refusalOf(reply).code }).toEqual({ status: 503, code: 'server.busy' })
    expect(reply.headers.get('retry-after')).not.toBeNull()
    for (const client of clients) client.destroy()
    while (bed.stored().length > 0) await sleep(5)
    expect((await bed.deploy(planZip())).status).toBe(201)
  })
})

describe('versions', () => {
  test('[PLANS-15] the latest is active, and an earlier one can be again', async () => {
    await using bed = await openBed()
    const first = await bed.deploy(planZip({ version: '1' }))
    await bed.deploy(planZip({ version: '2' }))
    expect((await details(bed)).versions.map(({ version, active }) => [version, active])).toEqual([
      ['2', true],
      ['1', false],
    ])
    const post = (version: string) =>
      bed.ask('/api/plans/hand-on/rollback', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ version }),
      })
    expect(await post('1')).toMatchObject({ status: 200, body: { version: '1', digest: digestIn(first) } })
    expect((await bed.plans.load(ref)).version).toBe('1')
    expect((await bed.plans.load(ref, '2')).version).toBe('2')
    expect(refusalOf(await post('3')).code).toBe('input.invalid')
    expect(await bed.deploy(planZip({ version: '2' }))).toMatchObject({ body: { status: 'unchanged' } })
    expect((await details(bed)).version).toBe('2')
    expect(bed.stored()).toHaveLength(2)
  })

  test('[PLANS-15] an earlier version is drawn and read as it was', async () => {
    await using bed = await openBed()
    await bed.deploy(planZip({ version: '1', description: 'one' }))
    await bed.deploy(planZip({ version: '2', description: 'two' }))
    const read = async (query: string) =>
      JSON.stringify((await bed.ask(`/api/plans/hand-on/files/manifest.json${query}`)).body)
    expect(await read('')).toContain('two')
    expect(await read('?version=1')).toContain('one')
    expect((await bed.ask('/api/plans/hand-on/graph?version=9')).status).toBe(404)
  })

  test.each(['', '/graph', '/files/a'])('[PLANS-1] an unknown plan is unknown: %s', async path => {
    await using bed = await openBed()
    expect(refusalOf(await bed.ask(`/api/plans/nothing${path}`)).code).toBe('plan.unknown')
  })

  test('[PLANS-22] each change is an event', async () => {
    await using bed = await openBed()
    await bed.deploy(planZip({ version: '1' }))
    await bed.deploy(planZip({ version: '1' }))
    await bed.deploy(planZip({ version: '2' }))
    await bed.plans.rollback(ref, '1')
    await bed.plans.rollback(ref, '1')
    await bed.ask('/api/plans/hand-on', { method: 'DELETE' })
    const rows = await bed.db.read.selectFrom('event').select(['events', 'run_id']).orderBy('id').execute()
    const names = rows.map(({ events }) => /"event":"([^"]*)"/.exec(events)?.[1])
    expect(names).toEqual(['plan:deployed', 'plan:deployed', 'plan:deployed', 'plan:deleted'])
    expect(rows.every(row => row.run_id === null && row.events.includes('"plan_id":"hand-on"'))).toBe(true)
  })
})

describe('undeploying', () => {
  test('[PLANS-17] a plan with active runs stays, unless they are to be stopped', async () => {
    await using bed = await openBed()
    await bed.deploy(planZip())
    bed.runs.active = ['run_1', 'run_2']
    const refused = await bed.ask('/api/plans/hand-on', { method: 'DELETE' })
    expect(refused).toMatchObject({
      status: 409,
      body: { error: { code: 'plan.busy', details: { runs: ['run_1', 'run_2'] } } },
    })
    expect((await bed.ask('/api/plans/hand-on')).status).toBe(200)
    expect(await bed.ask('/api/plans/hand-on?force=true', { method: 'DELETE' })).toMatchObject({
      status: 200,
      body: { status: 'deleted', plan_id: 'hand-on', stopped_runs: ['run_1', 'run_2'] },
    })
    expect((await bed.ask('/api/plans/hand-on')).status).toBe(404)
    expect(bed.stored()).toEqual([])
    expect(refusalOf(await bed.ask('/api/plans/hand-on', { method: 'DELETE' })).code).toBe('plan.unknown')
  })

  test('[PLANS-18] a package stays while an unfinished run needs it', async () => {
    await using bed = await openBed()
    const first = await bed.deploy(planZip())
    bed.runs.digests.add(digestIn(first))
    await bed.deploy(planZip({ description: 'changed' }), '?replace=true')
    await bed.ask('/api/plans/hand-on', { method: 'DELETE' })
    expect(bed.stored()).toEqual([folderOf(first)])
    expect(await bed.plans.loadDigest(digestIn(first))).toMatchObject({ planId: 'hand-on', version: '1.0.0' })
    bed.runs.digests.clear()
    await bed.plans.release(digestIn(first))
    expect(bed.stored()).toEqual([])
    await expect(bed.plans.loadDigest(digestIn(first))).rejects.toMatchObject({ code: 'plan.unknown' })
  })

  test('[PLANS-18] content that two plans share is stored once and kept for the other', async () => {
    await using bed = await openBed()
    const reply = await bed.deploy(planZip())
    await bed.db.read.insertInto('plan').values({ organisation: 'default', id: 'twin', active_version: '1' }).execute()
    const { position: _ofItsOwn, ...row } = await bed.db.read
      .selectFrom('plan_version')
      .selectAll()
      .executeTakeFirstOrThrow()
    await bed.db.read
      .insertInto('plan_version')
      .values({ ...row, plan_id: 'twin', version: '1' })
      .execute()
    await bed.ask('/api/plans/hand-on', { method: 'DELETE' })
    expect(bed.stored()).toEqual([folderOf(reply)])
  })

  test('[PLANS-18] what a crash has left is removed at the next start, and nothing else', async () => {
    await using bed = await openBed()
    const reply = await bed.deploy(planZip())
    await mkdir(join(bed.plansDir, '.incoming', 'half', 'package'), { recursive: true })
    await writeFile(join(bed.plansDir, '.incoming', 'half', 'package.zip'), 'x')
    await mkdir(join(bed.plansDir, 'a'.repeat(64), 'files'), { recursive: true })
    await mkdir(join(bed.plansDir, 'notes'))
    await using again = await bed.restarted()
    await again.plans.collectOrphans()
    expect(again.stored().sort()).toEqual([folderOf(reply), 'notes'].sort())
  })

  test('[PLANS-18] no run is added to a package that goes', async () => {
    await using bed = await openBed()
    await bed.deploy(planZip())
    const loaded = await bed.plans.load(ref)
    await bed.db.transaction(tx => bed.plans.assertDeployed(tx, { organisation: 'default', plan: loaded }))
    await bed.deploy(planZip({ description: 'changed' }), '?replace=true')
    await expect(
      bed.db.transaction(tx => bed.plans.assertDeployed(tx, { organisation: 'default', plan: loaded })),
    ).rejects.toMatchObject({
      code: 'plan.unknown',
    })
  })
})

describe('many plans, and restarts', () => {
  test('[PLANS-20] all is there after a restart, dialect included', async () => {
    await using bed = await openBed({ over: { defaultDialect: '2026-03' } })
    await bed.deploy(planZip())
    const before = await details(bed)
    await using again = await bed.restarted({ defaultDialect: '2026-01' })
    expect(await details(again)).toEqual(before)
    expect((await again.plans.load(ref)).plan.dialect).toBe('2026-03')
  })

  test('[PLANS-21] the list is in pages and reads no package', async () => {
    await using bed = await openBed()
    for (const name of ['b', 'a', 'ä', 'c']) await bed.deploy(planZip({ name }))
    for (const name of readdirSync(bed.plansDir))
      renameSync(join(bed.plansDir, name), join(bed.plansDir, `${name}-away`))
    const ids: string[] = []
    let path: string | null = '/api/plans?limit=3'
    while (path !== null) {
      const reply: Reply = await bed.ask(path)
      ids.push(
        ...z
          .array(PlanSummary)
          .parse(reply.body)
          .map(plan => plan.id),
      )
      path = /<([^>]+)>/.exec(reply.headers.get('link') ?? '')?.[1] ?? null
    }
    expect(ids).toEqual(['a', 'b', 'c', 'ä'])
    expect(existsSync(bed.plansDir)).toBe(true)
  })
})
