import { AppError } from '@slipway/protocol/errors'
import { zipSync, type ZipOptions } from 'fflate'
import { joinPath, type PlanFiles } from './files.ts'

export interface CanonicalFile {
  readonly path: string
  readonly bytes: Uint8Array
}

// Archives store local wall-clock time; a text without a zone is read as such, so it comes out the same everywhere.
const packedAt = '1980-01-01T12:00:00'
const unixFile = { os: 3, attrs: 0o100644 << 16 }
const fileOptions: ZipOptions = { ...unixFile, level: 6, mtime: packedAt }

/** A plan package as a zip. The same files give the same bytes, whatever order they come in. */
export function packPlan(files: PlanFiles): Uint8Array {
  const entries = canonicalFiles(files).map(({ path, bytes }): [string, [Uint8Array, ZipOptions]] => {
    return [path, [bytes, fileOptions]]
  })
  return zipSync(Object.fromEntries(entries))
}

/** The files by path in code unit order. A path that is not relative, normalised and inside the package is refused. */
export function canonicalFiles(files: PlanFiles): readonly CanonicalFile[] {
  return [...files.keys()].sort().map(path => {
    const bytes = files.get(path)
    if (bytes === undefined || path === '' || joinPath('', path) !== path) {
      throw new AppError(
        'archive.forbidden',
        `"${path}" is not a path inside a package; use forward slashes and no "..".`,
      )
    }
    return { path, bytes }
  })
}

/** What a digest of a package is taken over: for each file its path, a zero byte, its size, a newline, its bytes. */
export function* digestParts(files: PlanFiles): Generator<Uint8Array> {
  const encoder = new TextEncoder()
  for (const { path, bytes } of canonicalFiles(files)) {
    yield encoder.encode(`${path}\0${bytes.byteLength}\n`)
    yield bytes
  }
}
