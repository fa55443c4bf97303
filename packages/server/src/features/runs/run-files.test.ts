import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { RunFiles } from './run-files.ts'

interface Bed extends AsyncDisposable {
  readonly root: string
  readonly outside: string
  readonly files: RunFiles
}

async function openBed(baseDir = ''): Promise<Bed> {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-files-'))
  const root = join(folder, 'workspace')
  await mkdir(join(root, baseDir, 'provisions', 'prompts'), { recursive: true })
  await writeFile(join(root, baseDir, 'provisions', 'prompts', 'ask.md'), 'Ask $input_1')
  await writeFile(join(folder, 'secret.txt'), 'secret')
  const prompts = baseDir === '' ? 'provisions/prompts' : `${baseDir}/provisions/prompts`
  const files = new RunFiles({ root, baseDir, provisionDirs: new Map([['prompts', prompts]]) })
  return { root, outside: folder, files, [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }) }
}

test('[RUN-10] reads below the base folder and through the registered provision folders', async () => {
  await using bed = await openBed('plan')
  for (const path of [
    'provisions/prompts/ask.md',
    'provision/prompts/ask.md',
    'prompts/ask.md',
    'provisions\\prompts\\ask.md',
  ]) {
    expect(await bed.files.read(path)).toBe('Ask $input_1')
  }
})

test('[RUN-10] a written file has its folders, and its absolute path can be used again', async () => {
  await using bed = await openBed()
  const location = await bed.files.write('out/deep/report.txt', 'done')
  expect(location).toBe(join(bed.root, 'out/deep/report.txt'))
  expect(await bed.files.read(location)).toBe('done')
  expect(await readdir(join(bed.root, 'out/deep'))).toEqual(['report.txt'])
})

test.each(['../secret.txt', '/etc/passwd', 'a/../../secret.txt', '..\\secret.txt', 'x\0y'])(
  '[RUN-10] %j is refused for reading and writing',
  async path => {
    await using bed = await openBed()
    await expect(bed.files.read(path)).rejects.toMatchObject({ code: 'file.forbidden' })
    await expect(bed.files.write(path, 'x')).rejects.toMatchObject({ code: 'file.forbidden' })
    expect(await readFile(join(bed.outside, 'secret.txt'), 'utf8')).toBe('secret')
  },
)

test('[RUN-10] links that lead outside are not followed', async () => {
  await using bed = await openBed()
  await symlink(join(bed.outside, 'secret.txt'), join(bed.root, 'link.txt'))
  await symlink(bed.outside, join(bed.root, 'folder'))
  await expect(bed.files.read('link.txt')).rejects.toMatchObject({ code: 'file.forbidden' })
  await expect(bed.files.read('folder/secret.txt')).rejects.toMatchObject({ code: 'file.forbidden' })
  await expect(bed.files.write('folder/new.txt', 'x')).rejects.toMatchObject({ code: 'file.forbidden' })
  await bed.files.write('link.txt', 'mine')
  expect(await readFile(join(bed.outside, 'secret.txt'), 'utf8')).toBe('secret')
})

test('[RUN-10] a pipe is no file, and nobody waits for it', async () => {
  await using bed = await openBed()
  execFileSync('mkfifo', [join(bed.root, 'pipe')])
  await expect(bed.files.read('pipe')).rejects.toThrow('pipe')
})

test('[RUN-10] a missing file is reported as Python would', async () => {
  await using bed = await openBed()
  await expect(bed.files.read('none.md')).rejects.toMatchObject({ name: 'FileNotFoundError' })
  expect(await bed.files.exists('none.md')).toBe(false)
})
