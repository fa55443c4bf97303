import { describe, expect, test } from 'vitest'
import { compileMapping, usualLimits } from './mappings.ts'

const job = { job_id: 'j1', imageData: 'data:,x', width: 2, height: 3, tags: ['a', 'b', 'a'] }

describe('mappings', () => {
  test('[MAPPING-1] gives what JSONata gives, with what it is handed by name', async () => {
    const mapping = compileMapping(
      '{"image": imageData, "area": width * height, "kind": assetType ? assetType : "Noisy", "id": $job.id}',
    )
    const expected = { image: 'data:,x', area: 6, kind: 'Noisy', id: 7 }
    expect(await mapping.evaluate(job, { job: { id: 7 } })).toEqual(expected)
    expect(await mapping.evaluate(job, { job: { id: 7 } })).toEqual(expected)
    expect(await compileMapping('tags[0]').evaluate(job)).toBe('a')
    expect(await compileMapping('$distinct(tags)').evaluate(job)).toEqual(['a', 'b'])
    expect(await compileMapping('$sum(tags.$length($))').evaluate(job)).toBe(3)
    expect(await compileMapping('$pad("x", 3, "-") & $pad("y", -2)').evaluate(job)).toBe('x-- y')
    await expect(compileMapping('missing').evaluate(job)).rejects.toMatchObject({ code: 'mapping.failed' })
    await expect(compileMapping('$sum').evaluate(job)).rejects.toMatchObject({ code: 'mapping.failed' })
  })

  test('[MAPPING-2] refuses what cannot be read, with its place', () => {
    expect(() => compileMapping('{"a": }')).toThrow(/character 7/)
    expect(() => compileMapping('a'.repeat(5_000))).toThrow(/4000/)
    expect(() => compileMapping('('.repeat(3_000))).toThrow(/no JSONata/)
    expect(() => compileMapping('[1..10]')).toThrow(/ranges/)
    expect(() => compileMapping('$f(a[[1..b]])')).toThrow(/ranges/)
  })

  test.each([
    ['endless recursion', '($f := function($n) { $f($n + 1) }; $f(0))'],
    ['deep recursion', '($f := function($n) { 1 + $f($n + 1) }; $f(0))'],
    ['a doubling text', '($f := function($t) { $f($t & $t) }; $f("aaaaaaaaaaaaaaaa"))'],
    ['many combinations', '$count(items.($a := $; %.items.($b := $; %.items.($a * $b))))'],
    ['a long text', '$pad("", 100000000)'],
    ['a large result', '$join(items.("x" & $pad("", 5000)))'],
    ['a long list', '$count(items.($$.items))'],
  ])('[MAPPING-3] ends %s', async (_what, text) => {
    const items = Array.from({ length: 2_000 }, (_, n) => n)
    const mapping = compileMapping(text, { ...usualLimits, timeMs: 100 })
    await expect(mapping.evaluate({ items })).rejects.toMatchObject({ code: 'mapping.failed' })
  })

  test('[MAPPING-4] matches hostile patterns without trying all ways', async () => {
    const text = 'a'.repeat(50_000)
    expect(await compileMapping('$contains(text, /^(a+)+$/)').evaluate({ text: `${text}!` })).toBe(false)
    expect(await compileMapping('$replace(text, /(\\w+) (\\w+)/, "$2 $1")').evaluate({ text: 'b a' })).toBe('a b')
    expect(await compileMapping('$match(text, /a(.)/i).groups').evaluate({ text: 'abAc' })).toEqual(['b', 'c'])
    expect(await compileMapping('$split(text, /,\\s*/)').evaluate({ text: 'a, b,c' })).toEqual(['a', 'b', 'c'])
    expect(() => compileMapping('$contains(a, /(?=b)/)')).toThrow(/no JSONata/)
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
    await expect(compileMapping(text).evaluate({ a: {} }, { job: {} })).rejects.toMatchObject({
      code: 'mapping.failed',
    })
  })

  test('[MAPPING-5] an object that names a prototype is only data', async () => {
    const made = await compileMapping('{"__proto__": {"polluted": true}}').evaluate({})
    expect(JSON.stringify(made)).toBe('{"__proto__":{"polluted":true}}')
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })
})
