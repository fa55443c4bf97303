import { AppError, type ErrorCode } from '@slipway/protocol/errors'

/** What an uploaded package may be at most. */
export interface ArchiveLimits {
  /** Of the archive itself. */
  readonly archiveBytes: number
  /** Of all its files together, unpacked. */
  readonly totalBytes: number
  readonly fileBytes: number
  readonly entries: number
  /** Unpacked to packed size, of one file; small files may pass it. */
  readonly ratio: number
  readonly depth: number
  /** Of one path, in UTF-8. */
  readonly pathBytes: number
}

export const usualLimits: ArchiveLimits = {
  archiveBytes: 104_857_600,
  totalBytes: 268_435_456,
  fileBytes: 134_217_728,
  entries: 10_000,
  ratio: 200,
  depth: 20,
  pathBytes: 1024,
}

/** Below this a file that packs extraordinarily well does no harm. */
export const harmlessBytes = 1024 * 1024

const rules = {
  format: 'archive.invalid',
  encrypted: 'archive.invalid',
  method: 'archive.invalid',
  name_encoding: 'archive.invalid',
  overlap: 'archive.forbidden',
  wrong_size: 'archive.invalid',
  checksum: 'archive.invalid',
  duplicate: 'archive.forbidden',
  case_collision: 'archive.forbidden',
  path_absolute: 'archive.forbidden',
  path_outside: 'archive.forbidden',
  path_backslash: 'archive.forbidden',
  path_drive: 'archive.forbidden',
  path_control: 'archive.forbidden',
  path_shape: 'archive.forbidden',
  path_length: 'archive.forbidden',
  path_depth: 'archive.forbidden',
  link: 'archive.forbidden',
  special_file: 'archive.forbidden',
  entries: 'archive.too_large',
  file_size: 'archive.too_large',
  total_size: 'archive.too_large',
  ratio: 'archive.too_large',
} as const satisfies Record<string, ErrorCode>

export type ArchiveRule = keyof typeof rules

/** The refusal of an archive: which rule it breaks, at which entry, and what to do. */
export function broken(rule: ArchiveRule, message: string, { entry, cause }: Culprit = {}): AppError {
  const details = { rule, ...(entry === undefined ? {} : { entry: entry.slice(0, 300) }) }
  return new AppError(rules[rule], `${message} Rule ${rule}.`, { details, cause })
}

export interface Culprit {
  readonly entry?: string | undefined
  readonly cause?: unknown
}

/** The entry's path, when it is one inside the package. Throws the refusal otherwise. */
export function checkedPath(raw: Uint8Array, limits: ArchiveLimits): string {
  const path = decodedName(raw)
  const refuse = (rule: ArchiveRule, why: string): AppError => broken(rule, `${shown(path)} ${why}.`, { entry: path })
  if (hasControlCharacter(path)) throw refuse('path_control', 'has a control character in its name')
  if (path.includes('\\')) throw refuse('path_backslash', 'has a backslash in its name; separate folders with "/"')
  if (path.startsWith('/')) throw refuse('path_absolute', 'is an absolute path')
  if (/^[A-Za-z]:/.test(path)) throw refuse('path_drive', 'names a drive')
  const parts = path.replace(/\/$/, '').split('/')
  if (parts.includes('..')) throw refuse('path_outside', 'leads out of the package')
  if (parts.some(part => part === '' || part === '.'))
    throw refuse('path_shape', 'has an empty part or "." in its path')
  if (raw.byteLength > limits.pathBytes || parts.some(part => Buffer.byteLength(part) > 255)) {
    throw refuse('path_length', `is too long; a path may have ${limits.pathBytes} bytes and each part of it 255`)
  }
  if (parts.length > limits.depth) throw refuse('path_depth', `is more than ${limits.depth} folders deep`)
  return path
}

const [fileTypeMask, regularFile, folder, symbolicLink] = [0o170000, 0o100000, 0o040000, 0o120000]
const madeOnUnix = 3

/** Refuses everything but plain files and folders. */
export function checkFileType(
  path: string,
  entry: { readonly versionMadeBy: number; readonly attributes: number },
): void {
  // Other systems leave these bits zero or use them otherwise; a link is a link wherever it says so.
  const type = (entry.attributes >>> 16) & fileTypeMask
  if (type === symbolicLink)
    throw broken('link', `${shown(path)} is a symbolic link; pack the file itself.`, { entry: path })
  if (entry.versionMadeBy >> 8 !== madeOnUnix) return
  if (type !== 0 && type !== regularFile && type !== folder) {
    throw broken('special_file', `${shown(path)} is a device, pipe or socket.`, { entry: path })
  }
}

/** Refuses names that one file system takes for one and another for two, and files that are folders of others. */
export class TakenPaths {
  readonly #exact = new Set<string>()
  readonly #folded = new Map<string, { readonly path: string; readonly isFolder: boolean }>()

  add(path: string): void {
    if (this.#exact.has(path)) {
      throw broken('duplicate', `${shown(path)} is in the archive twice.`, { entry: path })
    }
    this.#exact.add(path)
    const parts = path.split('/')
    const isFolder = path.endsWith('/')
    if (isFolder) parts.pop()
    for (let length = 1; length <= parts.length; length++) {
      this.#claim(parts.slice(0, length).join('/'), { isFolder: isFolder || length < parts.length })
    }
  }

  #claim(path: string, { isFolder }: { readonly isFolder: boolean }): void {
    const folded = path.normalize('NFC').toLowerCase()
    const known = this.#folded.get(folded)
    if (!known) this.#folded.set(folded, { path, isFolder })
    else if (known.path !== path) {
      const message = `${shown(path)} and ${shown(known.path)} are the same name on some machines; rename one.`
      throw broken('case_collision', message, { entry: path })
    } else if (!known.isFolder || !isFolder) {
      throw broken('duplicate', `${shown(path)} is in the archive as a file and as a folder.`, { entry: path })
    }
  }
}

export interface DataRange {
  readonly path: string
  readonly start: number
  /** Behind the last byte. */
  readonly end: number
}

/** Refuses files that share bytes of the archive: a few kilobytes could otherwise become any number of files. */
export function checkOverlaps(ranges: readonly DataRange[]): void {
  const sorted = [...ranges].sort((a, b) => a.start - b.start)
  sorted.forEach((range, index) => {
    const before = sorted[index - 1]
    if (before && range.start < before.end) {
      throw broken('overlap', `${shown(range.path)} shares its bytes with ${shown(before.path)}.`, {
        entry: range.path,
      })
    }
  })
}

/** A name as it may stand in a message. */
export function shown(path: string): string {
  return JSON.stringify(path.length > 120 ? `${path.slice(0, 117)}…` : path)
}

// Many archive programs write UTF-8 without saying so; what is no UTF-8 could be anything.
function decodedName(raw: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(raw)
  } catch (cause) {
    const entry = Buffer.from(raw).toString('latin1')
    throw broken('name_encoding', `${shown(entry)} is not a name in UTF-8; pack with UTF-8 names.`, { entry, cause })
  }
}

function hasControlCharacter(text: string): boolean {
  return /\p{Cc}/u.test(text)
}
