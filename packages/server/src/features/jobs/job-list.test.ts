import type { Job } from '@slipway/protocol/jobs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emptySource, mergedPage, type ReadSource } from './job-list.ts'

function jobAt(second: number, jobId: string): Job {
  return { jobId, createdAt: new Date(second * 1000).toISOString() } as Job
}

/** A list of these jobs, newest first, that gives at most `most` at a time. */
function listOf(name: string, seconds: readonly number[], most: number): ReadSource {
  const jobs = [...seconds].sort((a, b) => b - a).map((second, at) => jobAt(second, `${name}${at}`))
  return (cursor, limit) => {
    const from = cursor === null ? 0 : Number(cursor)
    const part = jobs.slice(from, from + Math.min(limit, most))
    const cursors = part.map((_, at) => String(from + at + 1))
    const end = from + part.length
    return Promise.resolve({ jobs: part, cursors, next: end < jobs.length ? String(end) : null })
  }
}

async function pages(read: readonly [ReadSource, ReadSource], limit: number): Promise<Job[][]> {
  const all: Job[][] = []
  for (let after: string | undefined; ;) {
    const page = await mergedPage(read, { limit, after })
    all.push([...page.jobs])
    expect(page.jobs.length).toBeLessThanOrEqual(limit)
    if (page.next === null) return all
    after = page.next
  }
}

describe('the merged list', () => {
  test('[JOBS-7] gives each job once and newest first, however it is cut into pages', async () => {
    const seconds = fc.array(fc.integer({ min: 0, max: 50 }), { maxLength: 30 })
    const size = fc.integer({ min: 1, max: 10 })
    await fc.assert(
      fc.asyncProperty(seconds, seconds, size, size, async (first, second, limit, most) => {
        const found = (await pages([listOf('a', first, most), listOf('b', second, most)], limit)).flat()
        expect(new Set(found.map(({ jobId }) => jobId)).size).toBe(first.length + second.length)
        expect(found).toHaveLength(first.length + second.length)
        const times = found.map(({ createdAt }) => createdAt)
        expect(times).toEqual([...times].sort().reverse())
      }),
    )
  })

  test('[JOBS-7] a cursor of nobody is refused', async () => {
    for (const after of ['', 'x', '1', '1.2.3', '-1.2', '1.e.'])
      await expect(mergedPage([emptySource, emptySource], { limit: 1, after })).rejects.toMatchObject({
        code: 'input.invalid',
      })
  })
})
