import { describe, expect, test } from 'vitest'
import { hasTooManyValues, mostJsonValues } from './json-size.ts'

const isTooMuch = (text: string): boolean => hasTooManyValues(Buffer.from(text))

describe('size of a JSON body', () => {
  test('[HTTP-24] values are counted, characters are not', () => {
    expect(isTooMuch(`[${'1,'.repeat(mostJsonValues - 2)}1]`)).toBe(false)
    expect(isTooMuch(`[${'1,'.repeat(mostJsonValues)}1]`)).toBe(true)
    expect(isTooMuch('[]'.repeat(mostJsonValues + 1))).toBe(true)
    expect(isTooMuch(`{${'"a":{'.repeat(mostJsonValues)}`)).toBe(true)
  })

  test('[HTTP-24] what stands inside of a text is no value', () => {
    const commas = ','.repeat(2 * mostJsonValues)
    expect(isTooMuch(`["${commas}"]`)).toBe(false)
    expect(isTooMuch(String.raw`["\"${commas}\\\"${commas}"]`)).toBe(false)
    expect(isTooMuch(String.raw`["\\",${commas}]`)).toBe(true)
    expect(isTooMuch(`["${commas}`)).toBe(false)
  })
})
