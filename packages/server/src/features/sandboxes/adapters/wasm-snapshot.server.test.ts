import { appendFile, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '#app/testing'
import { Snapshot } from './wasm-snapshot.ts'

/** Images that differ, each made when it is asked for. */
function maker(): { readonly make: () => Promise<Buffer>; count: number } {
  const made = { make: () => Promise.resolve(Buffer.from(`image ${++made.count}`)), count: 0 }
  return made
}

test('[SANDBOX-25] an image is made in an empty folder once, and found again by its digest', async () => {
  await using folder = await temporaryFolder()
  const images = maker()
  const first = new Snapshot(folder.path, images.make)
  const paths = await Promise.all([first.path(), first.path(), first.path()])
  const later = await new Snapshot(folder.path, images.make).path()
  expect(new Set([...paths, later]).size).toBe(1)
  expect(images.count).toBe(1)
  expect(await readFile(later ?? '', 'utf8')).toBe('image 1')
})

test('[SANDBOX-25] a damaged image and one of another version are replaced, not used', async () => {
  await using folder = await temporaryFolder()
  const images = maker()
  const damaged = (await new Snapshot(folder.path, images.make).path()) ?? ''
  await appendFile(damaged, 'x')
  await writeFile(join(folder.path, 'pyodide-0123456789abcdef-00.image'), 'old')
  const path = (await new Snapshot(folder.path, images.make).path()) ?? ''
  expect(path).not.toBe(damaged)
  expect(await readFile(path, 'utf8')).toBe('image 2')
  expect(await readdir(folder.path)).toHaveLength(1)
})

test('[SANDBOX-25] without a data folder an image goes away with its sandboxes', async () => {
  const snapshot = new Snapshot(undefined, maker().make)
  const path = (await snapshot.path()) ?? ''
  expect(await readFile(path, 'utf8')).toBe('image 1')
  await snapshot.close()
  await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' })
})

test('[SANDBOX-25] where none can be made, there is none', async () => {
  await using folder = await temporaryFolder()
  const snapshot = new Snapshot(folder.path, () => Promise.reject(new Error('no memory')))
  expect(await snapshot.path()).toBeUndefined()
})
