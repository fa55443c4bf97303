import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { createClient } from '@slipway/sdk/client'
import { copyLoop, packed, type BenchPlan } from './bench-plans.ts'
import { Poster, startServerProcess, Watcher } from './server-process.ts'
import { playRun } from './served-runs.ts'

export interface StoredData {
  readonly plans: number
  readonly runs: number
}

/**
 * Fills a data folder as a server in long use would have: one plan is deployed and run by a real server, then its
 * package, its rows, and all that its run left are copied under other names.
 */
export async function storeData(dataDir: string, { plans, runs }: StoredData): Promise<void> {
  const plan = copyLoop(2)
  const runId = await deployAndRun(dataDir, plan)
  const database = new DatabaseSync(join(dataDir, 'slipway.db'))
  try {
    database.exec('pragma synchronous = off; begin')
    copyPlans(database, { dataDir, plan, copies: plans - 1 })
    copyRuns(database, { runId, copies: runs - 1 })
    database.exec('commit; pragma wal_checkpoint(truncate)')
  } finally {
    database.close()
  }
}

async function deployAndRun(dataDir: string, plan: BenchPlan): Promise<string> {
  await using server = await startServerProcess(dataDir)
  await createClient({ url: server.url }).deploy(packed(plan))
  using poster = new Poster(server.url)
  using watcher = await Watcher.open(server.url)
  return await playRun(poster, watcher, plan)
}

function copyPlans(
  database: DatabaseSync,
  { dataDir, plan, copies }: { readonly dataDir: string; readonly plan: BenchPlan; readonly copies: number },
): void {
  const row = database.prepare('select digest, summary, details from plan_version').get()
  const original = join(dataDir, 'plans', String(row?.['digest']).replace('sha256:', ''))
  if (!existsSync(original)) throw new Error(`The deployed package is not at ${original}.`)
  const notes = JSON.parse(readFileSync(join(original, 'package.json'), 'utf8')) as PackageNotes
  const addPlan = database.prepare("insert into plan (organisation, id, active_version) values ('default', ?, ?)")
  const addVersion = database.prepare(
    `insert into plan_version
       (organisation, plan_id, version, digest, name, description, deployed_at, size_bytes, summary, details)
     select organisation, ?, version, ?, ?, description, deployed_at + ?, size_bytes, summary, details
     from plan_version where plan_id = ?`,
  )
  for (let copy = 1; copy <= copies; copy++) {
    const name = `${plan.id}-${String(copy).padStart(5, '0')}`
    const manifest = JSON.parse(new TextDecoder().decode(plan.files.get('manifest.json'))) as object
    const files = new Map(plan.files).set('manifest.json', Buffer.from(JSON.stringify({ ...manifest, name })))
    const digest = digestOf(files, notes)
    const folder = join(dataDir, 'plans', digest)
    cpSync(original, folder, { recursive: true })
    const sizes = notes.files.map(({ path }) => ({ path, size_bytes: files.get(path)?.length ?? 0 }))
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ ...notes, files: sizes }))
    const target = join(folder, 'files', 'manifest.json')
    mkdirSync(dirname(target), { recursive: true })
    writeFileSync(target, files.get('manifest.json') ?? '')
    addPlan.run(name, '1.0.0')
    addVersion.run(name, `sha256:${digest}`, name, copy, plan.id)
  }
}

interface PackageNotes {
  readonly files: readonly { readonly path: string; readonly size_bytes: number }[]
}

/** As the server names packages: over path, a zero byte, size, a newline and the bytes of each file. */
function digestOf(files: ReadonlyMap<string, Uint8Array>, notes: PackageNotes): string {
  const hash = createHash('sha256')
  for (const { path } of notes.files) {
    const bytes = files.get(path) ?? new Uint8Array()
    hash.update(`${path}\0${bytes.length}\n`).update(bytes)
  }
  return hash.digest('hex')
}

/** Copies every row of the run, whatever columns this release's tables have. */
function copyRuns(
  database: DatabaseSync,
  { runId, copies }: { readonly runId: string; readonly copies: number },
): void {
  const numbers = `with recursive copy (n) as (select 1 union all select n + 1 from copy where n < ${copies})`
  const copied = { run: 'id', run_call: 'run_id', run_step: 'run_id', event: 'run_id' }
  for (const [table, key] of Object.entries(copied)) {
    const columns = database
      .prepare(`select name from pragma_table_info('${table}')`)
      .all()
      .map(column => String(column['name']))
      // These number the rows of a table by themselves.
      .filter(name => !(table === 'run' && name === 'position') && !(table === 'event' && name === 'id'))
    const values = columns.map(name => (name === key ? `original.${key} || '-' || copy.n` : `original.${name}`))
    database.exec(
      `${numbers} insert into ${table} (${columns.join(', ')})
       select ${values.join(', ')} from copy cross join ${table} as original
       where original.${key} = '${runId}' order by copy.n`,
    )
  }
}
