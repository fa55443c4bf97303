import { sleep } from '@slipway/kit/abort'
import type { RunDetails } from '@slipway/protocol/runs'
import type { Session } from './session.ts'
import { oneLine } from './text.ts'

const resting = new Set(['paused', 'waiting', 'completed', 'failed'])
const firstLookMs = 30
const longestLookMs = 500
// When a step takes longer than this, it is said which one is waited for.
const patienceMs = 2000

/** Waits until a run rests: paused, waiting for people, or over. Says on standard error what it waits for. */
export async function settled({ client, terminal, signal }: Session, runId: string): Promise<RunDetails> {
  const begun = performance.now()
  let told: string | null = null
  for (let waitMs = firstLookMs; ; waitMs = Math.min(waitMs * 1.5, longestLookMs)) {
    const run = await client.run(runId, { signal })
    if (resting.has(run.status)) return run
    const now = run.status === 'pending' ? 'a place in the queue' : run.progress.current_inference
    if (now !== null && now !== told && performance.now() - begun > patienceMs) {
      terminal.note(`Waiting for ${oneLine(now)} …`)
      told = now
    }
    await sleep(waitMs, signal)
  }
}
