import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { pyodideFolder, pyodideHost, runnerScript } from '@slipway/runner/files'

/**
 * The start image of the wasm interpreter: memory of Python after it has started, which makes every later start about
 * six times as fast. It is named after everything it depends on and after its own digest, so that neither an old nor a
 * damaged file is ever used. Making it runs no code of a plan.
 */
export class Snapshot {
  readonly #dataFolder: string | undefined
  readonly #make: () => Promise<Buffer>
  #temporary: string | undefined
  #path: Promise<string | undefined> | undefined

  constructor(dataFolder: string | undefined, make: () => Promise<Buffer>) {
    this.#dataFolder = dataFolder
    this.#make = make
  }

  /** Absolute path of a verified image; undefined when none can be made, then the interpreter starts without one. */
  path(): Promise<string | undefined> {
    this.#path ??= this.#find().catch(() => undefined)
    return this.#path
  }

  async close(): Promise<void> {
    await this.#path
    if (this.#temporary) await rm(this.#temporary, { recursive: true, force: true })
  }

  async #find(): Promise<string> {
    const folder = this.#dataFolder ?? (this.#temporary = await mkdtemp(join(tmpdir(), 'slipway-wasm-')))
    await mkdir(folder, { recursive: true })
    const key = `pyodide-${await keyOfThisVersion()}`
    const images = (await readdir(folder)).filter(name => name.startsWith('pyodide-') && name.endsWith('.image'))
    for (const name of images.filter(image => image.startsWith(key))) {
      const path = join(folder, name)
      if (nameOf(key, await readFile(path)) === name) return path
    }
    const image = await this.#make()
    const path = join(folder, nameOf(key, image))
    await writeFile(`${path}.part`, image, { mode: 0o600 })
    await rename(`${path}.part`, path)
    await Promise.all(images.map(name => rm(join(folder, name), { force: true })))
    return path
  }
}

function nameOf(key: string, image: Uint8Array): string {
  return `${key}-${createHash('sha256').update(image).digest('hex')}.image`
}

async function keyOfThisVersion(): Promise<string> {
  const hash = createHash('sha256').update(`${process.version} ${process.arch}`)
  for (const path of [join(pyodideFolder, 'package.json'), runnerScript, pyodideHost]) hash.update(await readFile(path))
  return hash.digest('hex').slice(0, 16)
}
