import { compileToFiles } from '@slipway/engine/plan/compile'
import { expect, test } from 'vitest'
import { excerpts, writtenPackage } from './docs.ts'
import { openBed } from './testbed.ts'

const long =
  'The meeting with Ms Okafor moves from Monday to Wednesday at ten, because the room is painted. Please bring the two offers for the boiler and the list of rooms that have no heating.'

test('[EXAMPLE-16] the plan of the tutorial gives the results that it quotes', async () => {
  const files = writtenPackage(await excerpts(), 'short-note')
  const compiled = compileToFiles(new TextDecoder().decode(files.get('short-note.pf.ncd')))
  for (const [path, text] of compiled.files) files.set(path, new TextEncoder().encode(text))
  await using bed = await openBed(files)
  const short = await bed.run('short-note', { note: 'Buy milk.' })
  expect(short).toMatchObject({
    run: { status: 'completed', node_statuses: { '1.3': 'skipped' } },
    answer: 'Buy milk.',
  })
  const shortened = await bed.run('short-note', { note: long })
  expect(shortened).toMatchObject({ run: { status: 'completed', node_statuses: { '1.3': 'completed' } } })
  expect(shortened.answer).toBe(long.slice(0, long.indexOf('.') + 1))
})
