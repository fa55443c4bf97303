import { parseJson } from '@slipway/kit/json'
import { afterEach, describe, expect, test } from 'vitest'
import { Mappings, type MappingTerms } from './mappings.ts'

const terms: MappingTerms = { workers: 2, timeoutMs: 300, memoryBytes: 33_554_432, queue: 100 }

const running: Mappings[] = []
afterEach(async () => {
  for (const mappings of running.splice(0)) await mappings[Symbol.asyncDispose]()
})

/** Mappings on threads, and why threads of theirs were replaced. */
function start(changed: Partial<MappingTerms> = {}): { mappings: Mappings; replaced: string[] } {
  const replaced: string[] = []
  const mappings = new Mappings({ terms: { ...terms, ...changed }, onReplaced: why => replaced.push(why) })
  running.push(mappings)
  return { mappings, replaced }
}

function given(input: unknown): { input: Uint8Array; notJson: 'refused' } {
  return { input: new TextEncoder().encode(JSON.stringify(input)), notJson: 'refused' }
}

function read(json: Uint8Array | null): unknown {
  return json === null ? null : parseJson(new TextDecoder().decode(json))
}

const doubled = '$f := function($n, $v) { $n = 0 ? $v : $f($n - 1, {"a": $v, "b": $v}) }'
/** Is in one call, of which no bound of the language sees anything, for as long as 2^40 comparisons take. */
const stuck = `(${doubled}; $f(40, 1) = $f(40, 1))`
const greedy = '$count(list.$uppercase($pad($string($), 1000000, "x")))'
const endless = '($f := function($n) { $f($n + 1) }; $f(0))'

describe('mappings', () => {
  test('[MAPPING-1] [MAPPING-6] makes of one input what all steps make of it', async () => {
    const { mappings } = start()
    const steps = [{ map: 'a + 1' }, { when: 'a = 2', map: 'a' }, { when: 'a = 1' }, { map: 'b' }, { map: '$sum(a' }]
    const made = await mappings.evaluateAll('acme', steps, given({ a: 1 }))
    expect(made.map(one => (one.type === 'made' ? read(one.json) : one.type))).toEqual([
      2,
      'held_back',
      null,
      'failed',
      'failed',
    ])
    expect(made.slice(3)).toMatchObject([{ error: { code: 'mapping.failed' } }, { error: { code: 'mapping.invalid' } }])
  })

  test('[MAPPING-1] takes other inputs than JSON where that may be', async () => {
    const { mappings } = start()
    const input = new TextEncoder().encode('plain words')
    expect(read(await mappings.evaluate('acme', '$length($)', { input, notJson: 'text' }))).toBe(11)
    expect(read(await mappings.evaluate('acme', '$exists($)', { input, notJson: 'nothing' }))).toBe(false)
    await expect(mappings.evaluate('acme', '1', { input, notJson: 'refused' })).rejects.toMatchObject({
      code: 'mapping.failed',
    })
    const names = { payload: new TextEncoder().encode('{"n": 3}'), other: input, status: 200 }
    const all = '[$payload.n, $exists($other), $status]'
    expect(read(await mappings.evaluate('acme', all, { input, notJson: 'text', names }))).toEqual([3, false, 200])
  })

  test('[MAPPING-2] checks expressions, and says of each what is wrong', async () => {
    const { mappings } = start()
    expect(await mappings.problems('acme', ['a', '{"a": }', '[1..10]'])).toEqual([
      null,
      expect.stringContaining('character 7'),
      expect.stringContaining('ranges'),
    ])
    expect(await mappings.problems('acme', [])).toEqual([])
  })

  test.each([
    ['never ends', endless, 'mapping.timeout', 0],
    ['never comes back from one call', stuck, 'mapping.timeout', 1],
    ['takes more memory than there is', greedy, 'mapping.memory', 1],
    ['goes too deep', '($f := function($n) { 1 + $f($n + 1) }; $f(0))', 'mapping.limit', 0],
  ])(
    '[MAPPING-3] [MAPPING-7] an expression that %s is ended with an error of its own',
    async (_what, text, code, replacedThreads) => {
      const { mappings, replaced } = start({ timeoutMs: code === 'mapping.memory' ? 20_000 : 300 })
      await expect(
        mappings.evaluate('acme', text, given({ list: Array.from({ length: 500 }, (_, n) => n) })),
      ).rejects.toMatchObject({ code })
      expect(replaced).toHaveLength(replacedThreads)
      expect(read(await mappings.evaluate('acme', 'a', given({ a: 1 })))).toBe(1)
    },
  )

  test('[MAPPING-7] of several steps only the one that is to blame fails', async () => {
    const { mappings } = start()
    const steps = [{ map: '1' }, { map: stuck }, { map: '2' }, { map: endless }, { map: '3' }]
    const made = await mappings.evaluateAll('acme', steps, given({}))
    expect(made.map(one => (one.type === 'made' ? read(one.json) : one.type))).toEqual([1, 'failed', 2, 'failed', 3])
  })

  test('[MAPPING-8] an organisation whose expressions hang does not keep others from theirs, and waits are bounded', async () => {
    const { mappings } = start({ queue: 3, timeoutMs: 2_000 })
    const hanging = Array.from({ length: 8 }, () =>
      mappings.evaluate('acme', stuck, given({})).catch((error: unknown) => (error as { readonly code: string }).code),
    )
    const passing = (async () => {
      for (let n = 0; n < 10; n++) await mappings.evaluate('other', 'a', given({ a: n }))
    })()
    const first = await Promise.race([Promise.all(hanging).then(() => 'hanging'), passing.then(() => 'passing')])
    expect(first).toBe('passing')
    const codes = await Promise.all(hanging)
    // One is begun at once or waits for its thread, and three wait behind it.
    expect(codes.filter(code => code === 'mapping.busy').length).toBeGreaterThanOrEqual(4)
    expect(codes.filter(code => code === 'mapping.timeout').length).toBeGreaterThanOrEqual(3)
  })

  test('[MAPPING-8] what waits when the server stops is told to come again', async () => {
    const { mappings } = start()
    const waiting = mappings.evaluate('acme', 'a', given({ a: 1 })).catch((error: unknown) => error)
    await mappings[Symbol.asyncDispose]()
    expect(await waiting).toMatchObject({ code: 'mapping.busy', retryable: true })
    await expect(mappings.evaluate('acme', 'a', given({ a: 1 }))).rejects.toMatchObject({ code: 'mapping.busy' })
  })
})
