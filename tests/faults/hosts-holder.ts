import { once } from 'node:events'
import { openDatabase } from '@slipway/server/db/database'
import { say } from './hosts-said.ts'

// Keeps others from a name in the database until its input ends, and then takes the name once more.
const [url = ''] = process.argv.slice(2)
process.stdin.resume()
await using db = await openDatabase(url, { timeoutMs: 2_000 })
await db.exclusive('a name', async () => {
  say({ say: 'link', to: 'database', isUp: true })
  await once(process.stdin, 'end')
})
for (let isUp = false; !isUp;) {
  isUp = await db.exclusive('a name', () => Promise.resolve(true)).catch(() => false)
}
say({ say: 'link', to: 'database', isUp: true })
