/** The files of a package: path with forward slashes, relative to the package's root, to its bytes. */
export type PlanFiles = ReadonlyMap<string, Uint8Array>

/**
 * Joins and normalises a path that a plan's file wrote: backslashes become slashes, `.` and `..` are resolved.
 * Null when it leaves the package, is absolute, or names a drive.
 */
export function joinPath(base: string, path: string): string | null {
  const forward = path.replaceAll('\\', '/')
  if (forward.startsWith('/') || /^[A-Za-z]:/.test(forward) || forward.includes('\0')) return null
  const parts: string[] = []
  for (const part of [...base.split('/'), ...forward.split('/')]) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) return null
  }
  return parts.join('/')
}

export function folderOf(path: string): string {
  return path.split('/').slice(0, -1).join('/')
}

export function fileNameOf(path: string): string {
  return path.split('/').at(-1) ?? path
}

/** The paths in `folder`, subfolders included; every path for the empty string. */
export function pathsUnder(files: PlanFiles, folder: string): string[] {
  const prefix = folder === '' ? '' : `${folder}/`
  return [...files.keys()].filter(path => path.startsWith(prefix))
}

export function hasFolder(files: PlanFiles, folder: string): boolean {
  return pathsUnder(files, folder).length > 0
}

/** The names of the folders directly in `folder`. */
export function foldersIn(files: PlanFiles, folder: string): string[] {
  const skip = folder === '' ? 0 : folder.length + 1
  const names = pathsUnder(files, folder).flatMap(path => {
    const [name, ...rest] = path.slice(skip).split('/')
    return name !== undefined && rest.length > 0 ? [name] : []
  })
  return [...new Set(names)]
}

/** The text of a file without a byte order mark; null when there is no such file or it is not UTF-8. */
export function textOf(files: PlanFiles, path: string): string | null {
  const bytes = files.get(path)
  if (!bytes) return null
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return null
  }
}
