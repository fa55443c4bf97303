import { join } from 'node:path'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { openDatabase } from '@slipway/server/db/database'
import { selectExpired } from '@slipway/server/features/runs/input-store'
import { expect, test } from 'vitest'
import { openBed } from '../testbed/bed.ts'
import { personPlan } from '../testbed/small-plans.ts'
import { violations } from './invariants.ts'

test('[RUN-12] [RUN-36] a question of a run that was stopped takes no answer and does not expire', async () => {
  await using folder = await temporaryDataFolder()
  {
    await using bed = await openBed({ dataDir: folder.path })
    const { client } = bed
    await client.deploy(personPlan('ask'))
    const { run_id: id } = await client.startRun('ask', { inputs: { question: 'Go on?' } })
    await expect.poll(() => client.inputs()).toHaveLength(1)
    const [question] = await client.inputs()
    await client.stop(id)
    expect(await bed.finished(id)).toMatchObject({ status: 'failed' })
    expect(await client.inputs()).toEqual([])
    await expect(client.answer(question?.input_id ?? '', 'yes')).rejects.toMatchObject({ code: 'question.unknown' })
  }
  await using db = await openDatabase(join(folder.path, 'slipway.db'))
  await db.transaction(tx => tx.sql.updateTable('run_input').set({ expires_at: 1 }).execute())
  expect(await selectExpired(db.read, 'sqlite')).toEqual([])
  expect(await violations(db)).toEqual([])
})
