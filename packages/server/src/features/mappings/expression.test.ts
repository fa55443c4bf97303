import { describe, expect, test } from 'vitest'
import { parseJson } from '@slipway/kit/json'
import { checkMapping } from './mappings.ts'
import { MappingGuest } from './mapping-guest.ts'
import type { MappingLimits, MappingStep, StepAnswer } from './mapping-task.ts'

const limits: MappingLimits = { timeMs: 500, depth: 100, items: 50_000, bytes: 1_048_576 }
const guest = new MappingGuest(3)

async function answer(step: MappingStep, input: unknown, names = {}): Promise<StepAnswer | undefined> {
  const bytes = new TextEncoder().encode(JSON.stringify(input))
  const task = { type: 'evaluate', limits, steps: [step], input: bytes, notJson: 'refused', names } as const
  const said = await guest.answer(task)
  return said.type === 'evaluated' ? said.answers[0] : undefined
}

/** What the expression makes of the input, or the code of what it fails with. */
async function made(map: string, input: unknown, names = {}): Promise<unknown> {
  const said = await answer({ map }, input, names)
  if (said?.type === 'failed') return said.code
  return said?.type === 'made' && said.json ? parseJson(new TextDecoder().decode(said.json)) : said
}

const job = { job_id: 'j1', imageData: 'data:,x', width: 2, height: 3, tags: ['a', 'b', 'a'] }

describe('expressions', () => {
  test('[MAPPING-1] gives what JSONata gives, with what it is handed by name', async () => {
    const text = '{"image": imageData, "area": width * height, "kind": assetType ? assetType : "Noisy", "id": $job.id}'
    const expected = { image: 'data:,x', area: 6, kind: 'Noisy', id: 7 }
    expect(await made(text, job, { job: { id: 7 } })).toEqual(expected)
    expect(await made(text, job, { job: { id: 8 } })).toEqual({ ...expected, id: 8 })
    expect(await made('tags[0]', job)).toBe('a')
    expect(await made('$distinct(tags)', job)).toEqual(['a', 'b'])
    expect(await made('$sum(tags.$length($))', job)).toBe(3)
    expect(await made('$pad("x", 3, "-") & $pad("y", -2)', job)).toBe('x-- y')
    expect(await made('missing', job)).toBe('mapping.failed')
    expect(await made('$sum', job)).toBe('mapping.failed')
  })

  test('[MAPPING-1] nothing of one evaluation is there in the next', async () => {
    const text = '($seen := $exists($mine) ? $mine : 0; $mine := 1; $seen)'
    expect(await made(text, job)).toBe(0)
    expect(await made(text, job)).toBe(0)
  })

  test('[MAPPING-6] makes something only of what the filter is true for', async () => {
    expect(await answer({ when: 'width = 2', map: 'height' }, job)).toMatchObject({ type: 'made' })
    expect(await answer({ when: 'width = 2' }, job)).toEqual({ type: 'made', json: null })
    expect(await answer({ when: 'width = 3', map: 'height' }, job)).toEqual({ type: 'held_back' })
    expect(await answer({ when: 'width', map: 'height' }, job)).toEqual({ type: 'held_back' })
    expect(await answer({ when: 'missing' }, job)).toMatchObject({ type: 'failed', code: 'mapping.failed' })
  })

  test('[MAPPING-2] refuses what cannot be read, with its place', () => {
    expect(() => checkMapping('{"a": }')).toThrow(/character 7/)
    expect(() => checkMapping('a'.repeat(5_000))).toThrow(/4000/)
    expect(() => checkMapping('('.repeat(3_000))).toThrow(/no JSONata/)
    expect(() => checkMapping('[1..10]')).toThrow(/ranges/)
    expect(() => checkMapping('$f(a[[1..b]])')).toThrow(/ranges/)
  })

  test.each([
    ['endless recursion', '($f := function($n) { $f($n + 1) }; $f(0))', 'mapping.timeout'],
    ['deep recursion', '($f := function($n) { 1 + $f($n + 1) }; $f(0))', 'mapping.limit'],
    // Which of the two comes first is the machine's to say.
    [
      'many combinations',
      '$count(items.($a := $; %.items.($b := $; %.items.($a * $b))))',
      /^mapping\.(timeout|limit)$/,
    ],
    ['a long text', '$pad("", 100000000)', 'mapping.limit'],
    ['a large result', '$join(items.("x" & $pad("", 5000)))', 'mapping.limit'],
    ['a long list', '$count(items.($$.items))', 'mapping.limit'],
  ])('[MAPPING-3] ends %s', async (_what, text, code) => {
    const items = Array.from({ length: 2_000 }, (_, n) => n)
    expect(await made(text, { items })).toMatch(code)
  })

  test('[MAPPING-4] matches hostile patterns without trying all ways', async () => {
    const text = 'a'.repeat(50_000)
    expect(await made('$contains(text, /^(a+)+$/)', { text: `${text}!` })).toBe(false)
    expect(await made('$replace(text, /(\\w+) (\\w+)/, "$2 $1")', { text: 'b a' })).toBe('a b')
    expect(await made('$match(text, /a(.)/i).groups', { text: 'abAc' })).toEqual(['b', 'c'])
    expect(await made('$split(text, /,\\s*/)', { text: 'a, b,c' })).toEqual(['a', 'b', 'c'])
    expect(() => checkMapping('$contains(a, /(?=b)/)')).toThrow(/no JSONata/)
  })

  test.each([
    '$eval("1+1")',
    '$random()',
    'constructor',
    '__proto__',
    'toString',
    'a.constructor.constructor',
    '$job.constructor',
    '$lookup($, "__proto__")',
    '$sum.constructor',
  ])('[MAPPING-5] %s reaches nothing', async text => {
    expect(await made(text, { a: {} }, { job: {} })).toBe('mapping.failed')
  })

  test('[MAPPING-5] an object that names a prototype is only data', async () => {
    const object = await made('{"__proto__": {"polluted": true}}', {})
    expect(JSON.stringify(object)).toBe('{"__proto__":{"polluted":true}}')
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})
