import fc from 'fast-check'
import { expect, test } from 'vitest'
import { brokerAddress, brokerName, FrameParts, partsOf } from './broker.ts'

test.each([
  ['nats://broker', { servers: ['broker:4222'], isSecure: false }],
  ['nats://broker:80', { servers: ['broker:80'], isSecure: false }],
  ['tls://broker:4443/', { servers: ['broker:4443'], isSecure: true }],
  ['nats://ann:p%40ss@[::1]:4222', { servers: ['[::1]:4222'], user: 'ann', pass: 'p@ss', isSecure: false }],
  ['nats://secret@a, nats://secret@b:1', { servers: ['a:4222', 'b:1'], token: 'secret', isSecure: false }],
])('an address is read: %s', (url, expected) => {
  expect(brokerAddress(url)).toEqual(expected)
})

test.each(['', 'broker', 'http://broker', 'nats://', 'nats://a,tls://b', 'nats://a:x', 'nats://%zz@a', 'xnats://a'])(
  'what is no address is refused: %s',
  url => {
    expect(() => brokerAddress(url)).toThrow(expect.objectContaining({ code: 'config.invalid' }) as Error)
  },
)

test('the name of a broker has no password', () => {
  expect(brokerName('tls://ann:secret@a:1,tls://ann:secret@b')).toBe('tls://a:1,b:4222')
})

test('[SPINE-46] a frame is put together again from its parts', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), fc.integer({ min: 1, max: 20 }), (frames, most) => {
      const parts = new FrameParts(50)
      const whole = frames.flatMap(frame => {
        const cut = partsOf(frame, most)
        expect(cut.every(part => part.length <= most)).toBe(true)
        return cut.map((part, index) => parts.add(part, { isLast: index === cut.length - 1 }))
      })
      expect(whole.filter(frame => frame !== null).map(frame => [...frame])).toEqual(frames.map(frame => [...frame]))
    }),
  )
  const parts = new FrameParts(3)
  expect(parts.add(Uint8Array.of(1, 2), { isLast: false })).toBe(null)
  expect(() => parts.add(Uint8Array.of(3, 4), { isLast: true })).toThrow(/at most 3/)
})
