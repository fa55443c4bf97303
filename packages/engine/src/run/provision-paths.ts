/**
 * The places in which a file that a sign names may be, best first: as it is written below the plan's folder; below the
 * folder that the plan registered for its kind, when it is written as `provision/<kind>/…` or `provisions/<kind>/…`
 * (a kind may carry a variant, as in `prompts_chinese`); under the same path with the other of the two spellings; and
 * the bare file name in the folder of its kind.
 *
 * `provisionDirs` maps kinds (`data`, `scripts`, `prompts`, `paradigms`) to folders relative to the plan's folder.
 */
export function candidatePaths(path: string, provisionDirs: ReadonlyMap<string, string>): string[] {
  const written = path.replaceAll('\\', '/').replace(/^(?:\.\/)+/, '')
  const found = [written]
  const match = PROVISION.exec(written)
  if (match !== null) {
    const [, spelling = '', kind = '', rest = ''] = match
    const folder = folderOf(kind, provisionDirs)
    if (folder !== null) found.push(`${folder}/${rest}`)
    found.push(`${spelling === 'provision' ? 'provisions' : 'provision'}/${kind}/${rest}`)
    if (folder !== null) found.push(`${folder}/${fileName(rest)}`)
  } else {
    const [kind = '', ...rest] = written.split('/')
    const folder = rest.length > 0 ? folderOf(kind, provisionDirs) : null
    if (folder !== null) found.push(`${folder}/${rest.join('/')}`, `${folder}/${fileName(written)}`)
  }
  return [...new Set(found)]
}

const PROVISION = /^(provisions?)\/([^/]+)\/(.+)$/

/** The folder of a kind, or of the kind with a variant: that beside the registered folder of the plain kind. */
function folderOf(kind: string, provisionDirs: ReadonlyMap<string, string>): string | null {
  const exact = provisionDirs.get(kind)
  if (exact !== undefined) return trimmed(exact)
  const plain = [...provisionDirs.keys()].find(known => kind.startsWith(`${known}_`))
  const registered = plain === undefined ? undefined : provisionDirs.get(plain)
  if (plain === undefined || registered === undefined) return null
  const folder = trimmed(registered)
  const parent = folder.split('/').slice(0, -1).join('/')
  return parent === '' ? kind : `${parent}/${kind}`
}

function trimmed(folder: string): string {
  return folder.replaceAll('\\', '/').replace(/\/+$/, '')
}

function fileName(path: string): string {
  return path.split('/').at(-1) ?? path
}
