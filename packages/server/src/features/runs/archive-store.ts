import type { Reader } from '#db/database'
import type { InputTable } from '#db/tables/runs'
import type { CommandRow } from './journal-store.ts'

/** Commands of a run by id, a page. */
export function selectCommandPage(
  reader: Reader,
  runId: string,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<CommandRow[]> {
  return reader
    .selectFrom('run_command')
    .selectAll()
    .where('run_id', '=', runId)
    .where('id', '>', after)
    .orderBy('id')
    .limit(limit)
    .execute()
}

/** Questions of a run by key, a page. */
export function selectInputPage(
  reader: Reader,
  runId: string,
  { after, limit }: { readonly after: string; readonly limit: number },
): Promise<InputTable[]> {
  return reader
    .selectFrom('run_input')
    .selectAll()
    .where('run_id', '=', runId)
    .where('key', '>', after)
    .orderBy('key')
    .limit(limit)
    .execute()
}

/** How many characters each of these values has; those that are not there are left out. */
export async function selectValueSizes(
  reader: Reader,
  family: string,
  hashes: readonly string[],
): Promise<readonly { readonly hash: string; readonly size: number }[]> {
  if (hashes.length === 0) return []
  const rows = await reader
    .selectFrom('run_value')
    .select(['hash', ({ fn }) => fn<number>('length', ['data']).as('size')])
    .where('family', '=', family)
    .where('hash', 'in', hashes)
    .orderBy('hash')
    .execute()
  return rows.map(({ hash, size }) => ({ hash, size: Number(size) }))
}
