import { setTimeout as sleep } from 'node:timers/promises'

/** What the bench says to a peer when it starts it. */
export const settings = JSON.parse(process.env.BENCH_SETTINGS ?? '{}')

/** The work of one step: the same trivial answer for everybody, told to the bench where it asks to be told. */
export async function step(run, index) {
  if (settings.tellSteps) process.send({ step: `${run}:${index}` })
  if (settings.stepMs > 0) await sleep(settings.stepMs)
  return `answer ${index} of ${run}`
}

let lastRun = 0

/** An id that no run of this database has yet. */
export function newRunId() {
  return `run-${process.pid}-${Date.now().toString(36)}-${++lastRun}`
}

/** Plays `runs` runs, `concurrency` of them at once, and says how long each took. */
export async function playAll({ runs, concurrency }, play) {
  const latencies = []
  let started = 0
  const start = performance.now()
  const worker = async () => {
    while (started < runs) {
      started++
      const from = performance.now()
      await play(newRunId())
      latencies.push(performance.now() - from)
    }
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
  return { ms: performance.now() - start, latencies }
}

/**
 * Answers the bench's orders, which come one at a time as `{order, ...}`; the answer is `{value}` or `{error}`. When the
 * bench lets go, `close` brings what is in memory to the disk.
 */
export function serve(orders, close = () => undefined) {
  process.on('message', ({ order, ...given }) => {
    orders[order](given).then(
      value => process.send({ value: value ?? null }),
      error => process.send({ error: String(error?.stack ?? error) }),
    )
  })
  process.on('disconnect', async () => {
    await close()
    process.exit(0)
  })
  process.send({ ready: true })
}
