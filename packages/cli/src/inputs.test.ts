import { writeJson } from '@slipway/sdk/json'
import { describe, expect, test } from 'vitest'
import { collectInputs, inputFromBytes, parseInputArgument } from './inputs.ts'

const value = (argument: string): unknown => {
  const { source } = parseInputArgument(argument)
  return source.type === 'value' ? source.value : source
}

describe('inputs', () => {
  test('[CLI-4] JSON where it parses, text otherwise', () => {
    expect(value('a=12')).toBe(12)
    expect(value('a=[1,"x"]')).toEqual([1, 'x'])
    expect(value('a="12"')).toBe('12')
    expect(value('a=hello=world')).toBe('hello=world')
    expect(value('a=')).toBe('')
    expect(value('a={not json')).toBe('{not json')
  })

  test('[CLI-4] numbers keep their digits', () => {
    const inputs = {
      long: value('a=123456789012345678901234567890'),
      float: value('a=1.0'),
      deep: value('a={"n":[1e2]}'),
    }
    expect(writeJson(inputs)).toBe('{"long":123456789012345678901234567890,"float":1.0,"deep":{"n":[1e2]}}')
  })

  test('[CLI-4] concept names may carry brackets and signs of equality', () => {
    expect(parseInputArgument('{raw document}=x').name).toBe('{raw document}')
    expect(parseInputArgument('{a=b}=x').name).toBe('{a=b}')
    expect(parseInputArgument('{document}={"a":"}=b"}')).toMatchObject({
      name: '{document}',
      source: { value: { a: '}=b' } },
    })
    expect(parseInputArgument('原始文档=文').name).toBe('原始文档')
  })

  test('[CLI-4] files and standard input', async () => {
    const files = {
      readFile: (path: string) =>
        Promise.resolve(new TextEncoder().encode(path === 'in.json' ? '{"a":1,"b":2,"_":0}' : `<${path}>`)),
      readStdin: () => Promise.resolve(new Uint8Array([0xff, 0x00])),
    }
    expect(await collectInputs({ file: 'in.json', single: ['b=@x.txt', 'c=@-'] }, files)).toEqual({
      a: 1,
      b: '<x.txt>',
      c: 'data:application/octet-stream;base64,/wA=',
    })
    await expect(collectInputs({ single: ['a=@-', 'b=@-'] }, files)).rejects.toMatchObject({ code: 'input.invalid' })
    await expect(collectInputs({ file: 'x', single: [] }, files)).rejects.toThrow('no JSON object')
  })

  test('[CLI-4] what holds no name is refused', () => {
    expect(() => parseInputArgument('hello')).toThrow('name=value')
    expect(() => parseInputArgument('=x')).toThrow('name=value')
  })

  test('[CLI-4] text with a zero byte is not text', () => {
    expect(inputFromBytes(new TextEncoder().encode('größe'))).toBe('größe')
    expect(inputFromBytes(new Uint8Array([65, 0]))).toMatch(/^data:/)
  })
})
