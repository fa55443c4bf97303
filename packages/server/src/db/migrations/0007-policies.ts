import { sql, type Transaction } from 'kysely'
import type { Tables } from '../tables.ts'
import type { ColumnTypes } from './column-types.ts'

// 0007-policies. Old servers may keep running: there are none.
export async function up(database: Transaction<Tables>, { text, integer, bytes, strict }: ColumnTypes): Promise<void> {
  await sql`
    create table policy (
      organisation ${text} not null,
      name ${text} not null,
      topics ${text} not null,
      version ${integer} not null,
      is_active ${integer} not null,
      digest ${text} not null,
      module ${bytes} not null,
      changed_by ${text} not null,
      changed_at ${integer} not null,
      primary key (organisation, name)
    ) ${strict}`.execute(database)
}
