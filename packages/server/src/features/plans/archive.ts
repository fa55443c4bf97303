import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { crc32 } from 'node:zlib'
import { AppError } from '@slipway/protocol/errors'
import type { Entry, ZipFile } from 'yauzl'
import {
  broken,
  checkedPath,
  checkFileType,
  checkOverlaps,
  harmlessBytes,
  shown,
  TakenPaths,
  type ArchiveLimits,
  type DataRange,
} from './archive-rules.ts'

export interface UnpackOptions {
  readonly limits: ArchiveLimits
  readonly signal: AbortSignal
}

/** One plain file of an archive that keeps all the rules. */
interface Member {
  readonly entry: Entry
  /** With the folder around everything, if there is one, taken off. */
  readonly path: string
}

/**
 * Unpacks a zip into an empty folder. Everything its directory says is checked before the first byte is written, and
 * what is written is checked against what it said. Throws `archive.*` with the rule that is broken.
 */
export async function unpack(archive: string, folder: string, options: UnpackOptions): Promise<readonly string[]> {
  const zip = await openZip(archive)
  try {
    const members = await survey(zip, options)
    if (members.length === 0) throw broken('format', 'The archive has no files.')
    const made = new Set<string>()
    for (const member of members) {
      const target = join(folder, member.path)
      if (!made.has(dirname(target))) await mkdir(dirname(target), { recursive: true })
      made.add(dirname(target))
      await extract(zip, member, { ...options, target })
    }
    return members.map(member => member.path)
  } finally {
    zip.close()
  }
}

async function openZip(archive: string): Promise<ZipFile> {
  const { default: yauzl } = await import('yauzl')
  return yauzl.openPromise(archive, { autoClose: false, lazyEntries: true, decodeStrings: false }).catch(notAZip)
}

function notAZip(cause: unknown): never {
  if (cause instanceof AppError) throw cause
  const why = cause instanceof Error ? cause.message : String(cause)
  throw broken('format', `This is not a whole and valid zip archive: ${why}.`, { cause })
}

/** All files of the archive, after every rule that can be checked without unpacking. */
async function survey(zip: ZipFile, { limits, signal }: UnpackOptions): Promise<readonly Member[]> {
  if (zip.entryCount > limits.entries) throw tooManyEntries(zip.entryCount, limits)
  const taken = new TakenPaths()
  const found: { readonly entry: Entry; readonly path: string }[] = []
  const ranges: DataRange[] = []
  let total = 0
  for await (const entry of entriesOf(zip)) {
    signal.throwIfAborted()
    const path = checkedPath(entry.fileNameRaw, limits)
    checkFileType(path, { versionMadeBy: entry.versionMadeBy, attributes: entry.externalFileAttributes })
    taken.add(path)
    checkCoding(entry, path)
    checkSizes(entry, path, limits)
    total += entry.uncompressedSize
    if (total > limits.totalBytes) throw tooLarge(limits)
    ranges.push(await rangeOf(zip, entry, path))
    if (!path.endsWith('/') && !isLitter(path)) found.push({ entry, path })
    else if (entry.uncompressedSize > 0 && path.endsWith('/')) {
      throw broken('wrong_size', `${shown(path)} is a folder with content.`, { entry: path })
    }
  }
  checkOverlaps(ranges)
  return withoutOuterFolder(found)
}

async function* entriesOf(zip: ZipFile): AsyncGenerator<Entry> {
  try {
    yield* zip.eachEntry()
  } catch (error) {
    notAZip(error)
  }
}

function checkCoding(entry: Entry, path: string): void {
  if (entry.isEncrypted())
    throw broken('encrypted', `${shown(path)} is encrypted; pack without a password.`, { entry: path })
  if (entry.compressionMethod !== 0 && entry.compressionMethod !== 8) {
    const message = `${shown(path)} is packed with method ${entry.compressionMethod}; use deflate or no compression.`
    throw broken('method', message, { entry: path })
  }
}

function checkSizes(entry: Entry, path: string, limits: ArchiveLimits): void {
  const { compressedSize: packed, uncompressedSize: unpacked } = entry
  if (unpacked > limits.fileBytes) {
    const message = `${shown(path)} has ${unpacked} bytes; a file may have ${limits.fileBytes}.`
    throw broken('file_size', message, { entry: path })
  }
  if (unpacked > harmlessBytes && unpacked > packed * limits.ratio) {
    const message = `${shown(path)} unpacks to more than ${limits.ratio} times its size.`
    throw broken('ratio', message, { entry: path })
  }
}

async function rangeOf(zip: ZipFile, entry: Entry, path: string): Promise<DataRange> {
  const { fileDataStart } = await zip.readLocalFileHeaderPromise(entry, { minimal: true }).catch(notAZip)
  return { path, start: entry.relativeOffsetOfLocalHeader, end: fileDataStart + entry.compressedSize }
}

// What the archive programs and file managers of some systems leave behind.
function isLitter(path: string): boolean {
  return path.startsWith('__MACOSX/') || /(^|\/)(\.DS_Store|Thumbs\.db)$/.test(path)
}

/** Archives of a folder and of what is in the folder are the same package. */
function withoutOuterFolder(members: readonly Member[]): readonly Member[] {
  const [first] = members
  const outer = first?.path.includes('/') ? first.path.slice(0, first.path.indexOf('/') + 1) : null
  if (outer === null || !members.every(({ path }) => path.startsWith(outer))) return members
  return members.map(({ entry, path }) => ({ entry, path: path.slice(outer.length) }))
}

async function extract(
  zip: ZipFile,
  { entry, path }: Member,
  { target, limits, signal }: UnpackOptions & { readonly target: string },
): Promise<void> {
  const wrong = (cause: unknown): never => {
    if (cause instanceof AppError || signal.aborted) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw broken('wrong_size', `${shown(path)} cannot be unpacked as the archive says: ${why}.`, { entry: path, cause })
  }
  const content = await zip.openReadStreamPromise(entry).catch(wrong)
  const sum = { bytes: 0, crc: 0 }
  const counted = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sum.bytes += chunk.length
      sum.crc = crc32(chunk, sum.crc)
      // The directory promised less; whatever it is, it is not unpacked any further.
      done(sum.bytes > Math.min(entry.uncompressedSize, limits.fileBytes) ? new Error('it is larger') : null, chunk)
    },
  })
  await pipeline(content, counted, createWriteStream(target, { flags: 'wx', mode: 0o644 }), { signal }).catch(wrong)
  if (sum.bytes !== entry.uncompressedSize) wrong(new Error('it is smaller'))
  if (sum.crc !== entry.crc32) {
    throw broken('checksum', `${shown(path)} is damaged: its checksum differs. Pack it again.`, { entry: path })
  }
}

function tooManyEntries(entries: number, limits: ArchiveLimits): AppError {
  return broken('entries', `The archive has ${entries} entries; a package may have ${limits.entries}.`)
}

function tooLarge(limits: ArchiveLimits): AppError {
  return broken(
    'total_size',
    `The files of the package have more than ${limits.totalBytes} bytes together. Leave out what no step reads, or raise SLIPWAY_MAX_PLAN_BYTES.`,
  )
}
