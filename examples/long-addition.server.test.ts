import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { demoInputs, openExample, type ExampleBed } from './testbed.ts'

let bed: ExampleBed
beforeAll(async () => {
  bed = await openExample('long-addition')
})
afterAll(() => bed[Symbol.asyncDispose]())

async function add(first: unknown, second: unknown, on = bed): Promise<string> {
  const { run, answer } = await on.run('long-addition', { 'first number': first, second_number: second })
  expect(run.status).toBe('completed')
  return String(answer)
}

test('[EXAMPLE-3] its folder deploys and runs with its demo inputs', async () => {
  const inputs = await demoInputs('long-addition')
  const { run, answer } = await bed.run('long-addition', inputs)
  expect(run).toMatchObject({ status: 'completed', error: null })
  expect(String(answer)).toBe('100000000000000000000')
})

describe('[EXAMPLE-4] the sum is exact', () => {
  const longs = ['9'.repeat(60), '123456789'.repeat(7)]
  test.each([
    [987, 45],
    ['45', '987'],
    ['99999', 1],
    [0, '0'],
    ['0007', 8],
    ['5', '5'],
    [longs[0], '1'],
    [longs[1], longs[0]],
  ])('%s + %s', async (first, second) => {
    expect(await add(first, second)).toBe(String(BigInt(first ?? 0) + BigInt(second ?? 0)))
  })
})

test('[EXAMPLE-5] both sandboxes give the same sum', async () => {
  await using wasm = await openExample('long-addition', { sandbox: 'wasm' })
  const [first, second] = ['8675309', '999999999999']
  expect(await add(first, second, wasm)).toBe(await add(first, second))
})

test.each(['12a', '-3', '1.5', '', '٣'])('[EXAMPLE-6] %j is answered with an error that quotes it', async input => {
  const { answer } = await bed.run('long-addition', { 'first number': input, 'second number': '5' })
  expect(answer).toMatchObject({
    status: 'error',
    message: expect.stringContaining(`'${input}' is not a whole number`) as string,
  })
})
