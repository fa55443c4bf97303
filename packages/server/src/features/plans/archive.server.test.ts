import { describe, expect, test } from 'vitest'
import { openBed, planFiles, planZip, refusalOf } from './testing.ts'
import { forgeZip, type ForgedEntry } from './zip-forge.ts'

const small = { limits: { totalBytes: 20_000_000, fileBytes: 10_000_000, entries: 50 } }

/** The plan with one more entry, or with whatever the forger makes of it. */
function having(...more: ForgedEntry[]): Buffer {
  return planZip({}, more)
}

async function refused(zip: Buffer, expected: { code: string; rule: string }): Promise<void> {
  await using bed = await openBed({ over: small })
  const reply = await bed.deploy(zip)
  expect(refusalOf(reply)).toEqual(expected)
  expect(reply.status).toBe(expected.code === 'archive.too_large' ? 413 : 400)
  expect(JSON.stringify(reply.body)).toContain(`Rule ${expected.rule}.`)
  expect(bed.stored()).toEqual([])
  expect((await bed.ask('/api/plans')).body).toEqual([])
}

describe('[PLANS-4] [PLANS-11] [PLANS-12] paths', () => {
  test.each([
    ['../evil.txt', 'path_outside'],
    ['a/../../evil.txt', 'path_outside'],
    ['a/..', 'path_outside'],
    ['/etc/evil.txt', 'path_absolute'],
    ['//server/share', 'path_absolute'],
    ['..\\evil.txt', 'path_backslash'],
    ['C:\\evil.txt', 'path_backslash'],
    ['C:/evil.txt', 'path_drive'],
    ['c:evil.txt', 'path_drive'],
    ['a\0b.txt', 'path_control'],
    ['a\nb.txt', 'path_control'],
    ['a//b.txt', 'path_shape'],
    ['./a.txt', 'path_shape'],
    ['a/./b.txt', 'path_shape'],
    ['', 'path_shape'],
    [`${'x'.repeat(256)}.txt`, 'path_length'],
    [`${'xxxxxxxxx/'.repeat(103)}a`, 'path_length'],
    [`${'a/'.repeat(20)}b.txt`, 'path_depth'],
  ])('%j breaks %s', async (name, rule) => {
    await refused(having({ name, content: 'x' }), { code: 'archive.forbidden', rule })
  })

  test('[PLANS-11] the entry is in the details', async () => {
    await using bed = await openBed()
    const reply = await bed.deploy(having({ name: '../evil.txt', content: 'x' }))
    expect(reply.body).toMatchObject({ error: { details: { rule: 'path_outside', entry: '../evil.txt' } } })
  })
})

describe('[PLANS-5] [PLANS-12] kinds of entries', () => {
  test.each([
    [{ name: 'link', content: '/etc/passwd', attributes: (0o120777 << 16) >>> 0 }, 'archive.forbidden', 'link'],
    [
      { name: 'link', content: '/etc/passwd', attributes: (0o120777 << 16) >>> 0, madeBy: 0 },
      'archive.forbidden',
      'link',
    ],
    [{ name: 'pipe', attributes: (0o010644 << 16) >>> 0 }, 'archive.forbidden', 'special_file'],
    [{ name: 'device', attributes: (0o020644 << 16) >>> 0 }, 'archive.forbidden', 'special_file'],
    [{ name: 'socket', attributes: (0o140644 << 16) >>> 0 }, 'archive.forbidden', 'special_file'],
    [{ name: 'secret', content: 'x', flags: 0x801 }, 'archive.invalid', 'encrypted'],
    [{ name: 'lzma', content: 'x', method: 14 }, 'archive.invalid', 'method'],
    [{ name: 'bzip2', content: 'x', method: 12 }, 'archive.invalid', 'method'],
  ])('%j', async (entry, code, rule) => {
    await refused(having(entry), { code, rule })
  })

  test('[PLANS-1] folders, and files of other systems, are as good', async () => {
    await using bed = await openBed()
    const folder = { name: 'provisions/', method: 0, attributes: (0o040755 << 16) >>> 0 }
    const dos = { name: 'provisions/a.txt', content: 'x', madeBy: 0, attributes: 32 }
    expect((await bed.deploy(having(folder, dos))).status).toBe(201)
  })
})

describe('[PLANS-6] [PLANS-12] names that are taken', () => {
  test.each([
    [[{ name: 'manifest.json', content: '{}' }], 'duplicate'],
    [[{ name: 'MANIFEST.json', content: '{}' }], 'case_collision'],
    [[{ name: 'a/x' }, { name: 'A/y' }], 'case_collision'],
    [[{ name: 'ü.txt' }, { name: 'u\u0308.txt' }], 'case_collision'],
    [[{ name: 'manifest.json/a', content: 'x' }], 'duplicate'],
    [[{ name: 'a/b' }, { name: 'a' }], 'duplicate'],
    [[{ name: 'a/' }, { name: 'a' }], 'duplicate'],
    [[{ name: 'a/' }, { name: 'a/' }], 'duplicate'],
  ])('%j breaks %s', async (entries, rule) => {
    await refused(having(...entries), { code: 'archive.forbidden', rule })
  })
})

describe('[PLANS-7] [PLANS-12] sizes', () => {
  test('a file that unpacks to thousands of times its size', async () => {
    await refused(having({ name: 'bomb', content: Buffer.alloc(5_000_000) }), {
      code: 'archive.too_large',
      rule: 'ratio',
    })
  })

  test('a file that is too large', async () => {
    await refused(having({ name: 'large', content: Buffer.alloc(10_000_001), method: 0 }), {
      code: 'archive.too_large',
      rule: 'file_size',
    })
  })

  test('files that are too large together', async () => {
    const files = ['a', 'b', 'c'].map(name => ({ name, content: Buffer.alloc(9_000_000), method: 0 }))
    await refused(having(...files), { code: 'archive.too_large', rule: 'total_size' })
  })

  test('too many entries', async () => {
    const files = Array.from({ length: 60 }, (_, n) => ({ name: `f${n}` }))
    await refused(having(...files), { code: 'archive.too_large', rule: 'entries' })
  })

  test('an archive that is too large', async () => {
    await using bed = await openBed({ over: { limits: { archiveBytes: 1000 } } })
    const zip = having({ name: 'a', content: Buffer.alloc(2000), method: 0 })
    expect(refusalOf(await bed.deploy(zip)).code).toBe('body.too_large')
    const form = new FormData()
    form.set('plan', new Blob([new Uint8Array(zip)]), 'a.zip')
    expect(refusalOf(await bed.ask('/api/plans/deploy', { method: 'POST', body: form })).code).toBe('body.too_large')
    const chunked = await bed.ask('/api/plans/deploy', {
      method: 'POST',
      headers: { 'content-type': 'application/zip' },
      body: new Blob([new Uint8Array(zip)]).stream(),
      duplex: 'half',
    })
    expect(refusalOf(chunked).code).toBe('body.too_large')
    expect(bed.stored()).toEqual([])
  })
})

describe('[PLANS-8] [PLANS-12] lies', () => {
  const content = 'x'.repeat(1000)

  test('files that share their bytes', async () => {
    const zip = forgeZip([...planFiles(), { name: 'a', content }, { name: 'b', content, sameDataAs: 3 }])
    await refused(zip, { code: 'archive.forbidden', rule: 'overlap' })
  })

  test.each([
    ['less than it unpacks to', { size: 10 }, 'wrong_size'],
    ['more than it unpacks to', { size: 2000 }, 'wrong_size'],
    ['another checksum', { crc: 1 }, 'checksum'],
    ['more bytes than there are', { packedSize: 900_000_000 }, 'format'],
    ['a place behind the end', { offset: 900_000_000 }, 'format'],
    ['a place where no file begins', { offset: 7 }, 'format'],
    ['other sizes though it is not packed', { method: 0, size: 2000 }, 'format'],
    [
      'sizes in an extension that it has not',
      { size: 0xffffffff, packedSize: 0xffffffff, extra: Buffer.from([1, 0, 0, 0]) },
      'format',
    ],
    [
      'a size of 2^53 in an extension',
      { size: 0xffffffff, extra: Buffer.from([1, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0x20, 0]) },
      'file_size',
    ],
  ])('a directory that says %s', async (_what, lie, rule) => {
    const code = rule === 'file_size' ? 'archive.too_large' : 'archive.invalid'
    await refused(having({ name: 'a', content, ...lie }), { code, rule })
  })

  test('a folder with content', async () => {
    await refused(having({ name: 'a/', content }), { code: 'archive.invalid', rule: 'wrong_size' })
  })

  test('packed data that is no packed data', async () => {
    const zip = planZip()
    zip.fill(0xff, 60, 90)
    await refused(zip, { code: 'archive.invalid', rule: 'wrong_size' })
  })
})

describe('[PLANS-3] [PLANS-12] what is no zip', () => {
  const zip = planZip()
  test.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('{"name": "a"}')],
    ['only the end', zip.subarray(-22)],
    ['the first half', zip.subarray(0, zip.length / 2)],
    ['all but the last byte', zip.subarray(0, -1)],
    ['an empty archive', forgeZip([])],
    ['more entries than there are', forgeZip(planFiles(), { entryCount: 9 })],
    ['only folders', forgeZip([{ name: 'a/', method: 0 }])],
  ])('%s', async (_what, bytes) => {
    await refused(bytes, { code: 'archive.invalid', rule: 'format' })
  })
})

describe('[PLANS-9] encodings', () => {
  test('a name that is not UTF-8', async () => {
    await refused(having({ name: Buffer.from([0x66, 0xfc, 0x72]), content: 'x', flags: 0 }), {
      code: 'archive.invalid',
      rule: 'name_encoding',
    })
  })

  test('a name in UTF-8 is taken as such, said or not', async () => {
    await using bed = await openBed()
    expect((await bed.deploy(having({ name: 'provisions/黄金.md', content: 'x', flags: 0 }))).status).toBe(201)
    const file = await bed.ask(`/api/plans/hand-on/files/provisions/${encodeURIComponent('黄金.md')}`)
    expect(file.body).toMatchObject({ path: 'provisions/黄金.md', content: 'x' })
  })

  test('JSON in another encoding', async () => {
    await using bed = await openBed()
    const [manifest, , inferences] = planFiles() as [ForgedEntry, ForgedEntry, ForgedEntry]
    const concepts = { name: 'concept_repo.json', content: Buffer.from('[{"concept_name": "\xfc"}]', 'latin1') }
    const reply = await bed.deploy(forgeZip([manifest, concepts, inferences]))
    expect(reply).toMatchObject({ status: 422, body: { error: { code: 'plan.invalid' } } })
    expect(JSON.stringify(reply.body)).toContain('file.encoding')
    expect(bed.stored()).toEqual([])
  })
})

describe('[PLANS-10] plans', () => {
  test.each([
    [
      'two manifests',
      [...planFiles(), ...planFiles().map(file => ({ ...file, name: `other/${String(file.name)}` }))],
      'plan.two_manifests',
    ],
    ['no plan', [{ name: 'readme.md', content: 'x' }], 'plan.none'],
    ['a manifest that is no JSON', [{ name: 'manifest.json', content: '{' }], 'json.invalid'],
    ['repositories that are not there', planFiles().slice(0, 1), 'manifest.file_missing'],
  ])('%s', async (_what, files, problem) => {
    await using bed = await openBed()
    const reply = await bed.deploy(forgeZip(files))
    expect(reply).toMatchObject({ status: 422, body: { error: { code: 'plan.invalid' } } })
    expect(JSON.stringify(reply.body)).toContain(problem)
    expect(bed.stored()).toEqual([])
  })
})
