import { sql } from 'kysely'
import type { Reader } from '#db/database'

/** A call of a run as far as it was asked; what came back is not read. */
export interface AskedCall {
  readonly n: number
  readonly key: string
  readonly type: string
  /** JSON text, or `#` and the hash of a value that has it. */
  readonly inputs: string
}

export function selectAskedCalls(
  reader: Reader,
  runId: string,
  { after, limit }: { readonly after: number; readonly limit: number },
): Promise<AskedCall[]> {
  return reader
    .selectFrom('run_call')
    .select(['n', 'key', 'type', 'inputs'])
    .where('run_id', '=', runId)
    .where('n', '>', after)
    .orderBy('n')
    .limit(limit)
    .execute()
}

export interface CallCosts {
  readonly calls: number
  readonly model_calls: number
  readonly input_tokens: number
  readonly output_tokens: number
  /** Milliseconds of all calls together, side by side or not. */
  readonly call_ms: number
}

export async function sumCalls(reader: Reader, runId: string): Promise<CallCosts> {
  const row = await reader
    .selectFrom('run_call')
    .select([
      sql<number>`count(*)`.as('calls'),
      sql<number>`count(case when type = 'model.generate' then 1 end)`.as('model_calls'),
      sql<number>`coalesce(sum(input_tokens), 0)`.as('input_tokens'),
      sql<number>`coalesce(sum(output_tokens), 0)`.as('output_tokens'),
      sql<number>`coalesce(sum(case when finished_at > started_at then finished_at - started_at else 0 end), 0)`.as(
        'call_ms',
      ),
    ])
    .where('run_id', '=', runId)
    .executeTakeFirstOrThrow()
  // Sums of integers come from Postgres as text.
  return {
    calls: Number(row.calls),
    model_calls: Number(row.model_calls),
    input_tokens: Number(row.input_tokens),
    output_tokens: Number(row.output_tokens),
    call_ms: Number(row.call_ms),
  }
}

/** How many executions of steps have ended between two records: behind `after`, up to `until`. */
export async function countSteps(
  reader: Reader,
  runId: string,
  { after, until }: { readonly after: number; readonly until: number },
): Promise<number> {
  const row = await reader
    .selectFrom('run_step')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('run_id', '=', runId)
    .where('kind', '=', 'step')
    .where('n', '>', after)
    .where('n', '<=', until)
    .executeTakeFirstOrThrow()
  return Number(row.count)
}
