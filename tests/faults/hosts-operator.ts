import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { connectOperator } from '@slipway/sdk/operator'
import { say, type Work, type WorkResult } from './hosts-said.ts'

// An operator on a host of its own, which says what it applies; it leaves when its input ends.
const [url = '', token = '', id = ''] = process.argv.slice(2)

const operator = connectOperator(url, token, {
  id,
  type: 'work',
  maxParallelJobs: 6,
  timeoutMs: 1_500,
  onState: ({ type }) => say({ say: 'link', to: 'server', isUp: type === 'connected' }),
})
operator.subscribe<Work, WorkResult>('work.jobs', async ({ n, ms }, { id: job, attempt }) => {
  say({ say: 'begun', job, attempt, ms })
  await pause(ms)
  say({ say: 'applied', job, attempt, ms })
  return { n, square: n * n, attempt }
})
process.stdin.resume()
await Promise.race([once(process.stdin, 'end'), operator.ended])
await operator.close()
