import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import type { IncomingMessage } from 'node:http'
import { dirname, join } from 'node:path'
import { AppError } from '@slipway/protocol/errors'
import { receiveFiles, type ReceivedFile } from '#http/upload'
import type { Database } from '#db/database'
import type { Plans } from '#features/plans/plans'
import type { People, QuestionRef } from './people.ts'
import { RunFiles } from './run-files.ts'
import { RunFolder } from './run-folder.ts'
import { findRunOf } from './run-store.ts'

export interface InputUploadDeps {
  readonly db: Database
  readonly plans: Plans
  readonly people: People
  readonly runsDir: string
  /** Of all files of one answer together. */
  readonly maxBytes: number
}

const mostFiles = 100

/** Answers questions for files with the files themselves. */
export class InputUpload {
  readonly #deps: InputUploadDeps

  constructor(deps: InputUploadDeps) {
    this.#deps = deps
  }

  /**
   * Resolves with the paths of the files, as the plan sees them, once files and answer are on disk. Throws
   * `question.unknown`, `input.invalid` for a question that asks for something else, and what `receiveFiles` throws.
   */
  async answer(
    question: QuestionRef,
    { request, signal }: { readonly request: IncomingMessage; readonly signal: AbortSignal },
  ): Promise<readonly string[]> {
    const { people, runsDir, maxBytes } = this.#deps
    const { run_id: runId, type } = await people.get(question)
    if (type !== 'multi_file_input')
      throw new AppError('input.invalid', 'This question does not ask for files. Answer it with `submit`.')
    const staging = join(runsDir, '.incoming', randomBytes(8).toString('hex'))
    try {
      await mkdir(staging, { recursive: true })
      const received = await receiveFiles(request, { field: 'file', maxBytes, mostFiles, folder: staging, signal })
      return await this.#keep(received, { question, runId })
    } finally {
      await rm(staging, { recursive: true, force: true })
    }
  }

  async #keep(
    received: readonly ReceivedFile[],
    { question, runId }: { readonly question: QuestionRef; readonly runId: string },
  ): Promise<readonly string[]> {
    const { db, plans, people, runsDir } = this.#deps
    const { by, id: inputId } = question
    const row = await findRunOf(db.read, { organisation: by.organisation, runId })
    if (!row) throw new AppError('question.unknown', `No open question has the id ${inputId}.`)
    const { baseDir } = (await plans.loadDigest(row.plan_digest)).plan
    const folder = new RunFolder(runsDir, runId)
    // Every upload has a folder of its own, so that two of the same question do not mix.
    const place = `inputs/${inputId}-${randomBytes(4).toString('hex')}`
    const names = uniqueNames(received.map(({ name }) => name))
    const files = received.map(({ path }, index) => ({ from: path, path: `${place}/${names[index] ?? ''}` }))
    const inPackage = (path: string): string => (baseDir === '' ? path : `${baseDir}/${path}`)
    try {
      for (const { from, path } of files) await putFile(from, join(folder.uploads, inPackage(path)))
      await folder.whenSettled()
      // A script may have put links where folders are expected: these are the run's files, and kept like them.
      const work = (await folder.isPrepared())
        ? new RunFiles({ root: folder.workspace, baseDir, provisionDirs: new Map() })
        : null
      for (const { path } of files) await work?.copyIn(path, join(folder.uploads, inPackage(path)))
      const paths = files.map(({ path }) => path)
      await people.answer(question, paths)
      return paths
    } catch (error) {
      for (const root of [folder.uploads, folder.workspace])
        await rm(join(root, inPackage(place)), { recursive: true, force: true })
      throw error
    }
  }
}

async function putFile(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true })
  {
    await using file = await open(from, 'r+')
    await file.sync()
  }
  await rename(from, to)
}

/** Names as every system can have them, none twice. */
function uniqueNames(names: readonly string[]): string[] {
  const taken = new Set<string>()
  return names.map(name => {
    const plain = plainName(name)
    const dot = plain.lastIndexOf('.')
    const [stem, ending] = dot > 0 ? [plain.slice(0, dot), plain.slice(dot)] : [plain, '']
    let unique = plain
    for (let count = 2; taken.has(unique.toLowerCase()); count++) unique = `${stem}-${count}${ending}`
    taken.add(unique.toLowerCase())
    return unique
  })
}

function plainName(name: string): string {
  const last = name.split(/[\\/]/).at(-1) ?? ''
  const plain = last
    .normalize('NFC')
    .replace(/[^\p{L}\p{M}\p{N}_.]+/gu, '-')
    .replace(/^[-.]+|[-.]+$/g, '')
  return plain.slice(-80).replace(/^[-.]+/, '') || 'file'
}
