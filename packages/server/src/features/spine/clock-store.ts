import { sql } from 'kysely'
import type { Reader } from '#db/database'

/** Milliseconds since 1970 by the clock of Postgres. */
export async function readDatabaseTime(reader: Reader): Promise<number> {
  const { rows } = await sql<{ now: number }>`
    select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(reader)
  return rows[0]?.now ?? 0
}
