import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decodeText, encodeText } from './postgres-text.ts'

const special = fc.constantFrom('\0', '\ufdd0', '0', '1', '\ufdd00', 'é', '😀', '\\')

test('[DB-4] any text comes back as it was, and none has a NUL on its way', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(special, fc.string({ unit: 'binary' })), { maxLength: 12 }), parts => {
      const text = parts.join('')
      expect(encodeText(text)).not.toContain('\0')
      expect(decodeText(encodeText(text))).toBe(text)
    }),
  )
})

test('[DB-4] different texts stay different', () => {
  const texts = ['\0', '\ufdd0', '\ufdd00', '\ufdd01', '0', '1', '\ufdd0\0', '\0\ufdd0', '']
  expect(new Set(texts.map(encodeText)).size).toBe(texts.length)
})
