import { setTimeout as pause } from 'node:timers/promises'
import { connectOperator } from '@slipway/sdk/operator'

// An operator that reaches the broker alone, until it is killed.
const [url = '', token = '', id = ''] = process.argv.slice(2)

const operator = connectOperator(url, token, { id, type: 'storm', maxParallelJobs: 64 })
operator.subscribe<{ readonly index: number }, unknown>('storm.jobs', async ({ index }, { attempt }) => {
  if (attempt % 2 === 1) await pause(2)
  return { index }
})
await operator.ended
