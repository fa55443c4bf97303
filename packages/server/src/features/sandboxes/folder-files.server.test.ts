import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { parseJson } from '@slipway/kit/json'
import { afterEach, beforeEach, expect, test } from 'vitest'

import { FolderFiles } from './folder-files.ts'

let parent = ''
let folder = ''
beforeEach(async () => {
  parent = await realpath(await mkdtemp(join(tmpdir(), 'slipway-files-')))
  folder = join(parent, 'run')
  await mkdir(join(folder, 'sub'), { recursive: true })
  await writeFile(join(parent, 'secret'), 'SECRET')
  await writeFile(join(folder, 'a'), 'abc')
})
afterEach(() => rm(parent, { recursive: true }))

async function ask(question: Record<string, unknown>): Promise<unknown> {
  const files = new FolderFiles(folder, 1000)
  return parseJson((await files.answer(JSON.stringify({ type: 'file', ...question }))) ?? 'null')
}

test('[SANDBOX-30] paths that leave the folder, through names or links, are refused for every operation', async () => {
  await symlink(parent, join(folder, 'out'))
  await symlink(join(parent, 'secret'), join(folder, 'link'))
  const operations = ['stat', 'list', 'read', 'write', 'create', 'folder', 'truncate', 'rename', 'remove', 'unfolder']
  for (const op of operations) {
    for (const path of ['../secret', 'sub/../../secret', 'out/secret', '/../secret', 'a\0b', 'out/new', 'sub/../a']) {
      expect(await ask({ op, path, to: 'b', data: '', length: 9 }), `${op} ${path}`).toMatchObject({
        error: expect.any(String) as string,
      })
    }
  }
  for (const op of ['stat', 'list', 'read', 'write', 'truncate']) {
    expect(await ask({ op, path: 'link', length: 9 }), op).toEqual({ error: op === 'list' ? 'ENOTDIR' : 'ENOENT' })
  }
  expect(await ask({ op: 'rename', path: 'a', to: '../b' })).toEqual({ error: 'EACCES' })
  expect(await ask({ op: 'rename', path: 'a', to: 'out/b' })).toEqual({ error: 'ENOTDIR' })
  expect(await readFile(join(parent, 'secret'), 'utf8')).toBe('SECRET')
})

test('[SANDBOX-30] what is neither a file nor a folder does not exist', async () => {
  await using server = createServer().listen(join(folder, 'pipe'))
  await once(server, 'listening')
  expect(await ask({ op: 'stat', path: 'pipe' })).toEqual({ error: 'ENOENT' })
  expect(await ask({ op: 'read', path: 'pipe', length: 1 })).toEqual({ error: 'ENOENT' })
})

test('[SANDBOX-30] questions that make no sense are answered with an error', async () => {
  expect(await ask({ op: 'explode', path: 'a' })).toEqual({ error: 'EINVAL' })
  expect(await ask({ op: 'read', path: 'a', offset: -1 })).toEqual({ error: 'EINVAL' })
  expect(await ask({ op: 'write', path: 'a', data: 'not base64!' })).toEqual({ error: 'EINVAL' })
  expect(await ask({ op: 'write', path: 'a', offset: 1000, data: 'YWI=' })).toEqual({ error: 'EFBIG' })
  expect(await ask({ op: 'truncate', path: 'a', length: 2000 })).toEqual({ error: 'EFBIG' })
  expect(new FolderFiles(folder, 1).answer('{"id":1,"type":"value","value":1}')).toBeUndefined()
})

test('[SANDBOX-30] a huge read is cut to one piece', async () => {
  const reply = await ask({ op: 'read', path: 'a', length: Number.MAX_SAFE_INTEGER })
  expect(reply).toEqual({ data: Buffer.from('abc').toString('base64') })
})
