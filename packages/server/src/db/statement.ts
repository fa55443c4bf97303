import { CompiledQuery } from 'kysely'
import type { DialectName } from './columns.ts'
import type { Tx } from './database.ts'

/** What differs between the two databases in a statement. */
export interface Words {
  /** Locks the rows of a table that a `select` gives, and leaves out those that somebody else has locked. */
  readonly takeFree: (table: string) => string
  /** Locks the rows of a table that a `select` gives. */
  readonly take: (table: string) => string
  /**
   * A parameter as a table: the text of a JSON list of rows, each the list of these columns' values. Texts in it have no
   * NUL.
   */
  readonly rows: (parameter: string, columns: Readonly<Record<string, 'text' | 'integer'>>) => string
}

/** SQL with parameters `$1`, `$2` …, written once in the words of each database. */
export class Statement<Row = never> {
  readonly #texts: Readonly<Record<DialectName, string>>

  constructor(write: (words: Words) => string) {
    // SQLite numbers parameters with a question mark.
    this.#texts = { sqlite: write(sqlite).replaceAll('$', '?'), postgres: write(postgres) }
  }

  async run(tx: Tx, ...parameters: readonly unknown[]): Promise<Row[]> {
    const query = CompiledQuery.raw(this.#texts[tx.dialect], [...parameters])
    const { rows } = await tx.sql.executeQuery<Row>(query)
    return rows
  }
}

const sqlite: Words = {
  // One connection writes.
  takeFree: () => '',
  take: () => '',
  rows: (parameter, columns) => {
    const values = Object.keys(columns).map((name, index) => `value ->> ${index} as ${name}`)
    return `(select ${values.join(', ')} from json_each(${parameter}))`
  },
}

const postgres: Words = {
  takeFree: table => `for update of ${table} skip locked`,
  take: table => `for update of ${table}`,
  rows: (parameter, columns) => {
    const values = Object.entries(columns).map(([name, kind], index) =>
      kind === 'text' ? `value ->> ${index} as ${name}` : `(value ->> ${index})::bigint as ${name}`,
    )
    return `(select ${values.join(', ')} from json_array_elements(${parameter}::json))`
  },
}
