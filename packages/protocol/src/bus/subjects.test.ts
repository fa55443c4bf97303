import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  connectionSubjects,
  decodeToken,
  encodeToken,
  helloSubject,
  jobSubjects,
  parseSubject,
  subjectOf,
} from './subjects.ts'
import { Topic } from './topics.ts'

const word = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,8}$/)
const topics = fc.array(word, { minLength: 2, maxLength: 8 }).map(words => words.join('.'))
const hostile = fc.constantFrom(
  '',
  '.',
  '*',
  '>',
  'a.b',
  'a_b',
  'a_2eb',
  '_',
  '__',
  'a b',
  'ä',
  '\0',
  '\ufeff',
  '😀',
  '..',
  'slipway',
)
const organisations = fc.oneof(
  hostile,
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: 'binary' }).filter(text => text.isWellFormed()),
)

test('[SPINE-2] a pair comes back from its subject', () => {
  fc.assert(
    fc.property(organisations, topics, (organisation, topic) => {
      fc.pre(Topic.safeParse(topic).success)
      expect(parseSubject(subjectOf(organisation, topic))).toEqual({ organisation, topic })
    }),
  )
})

test('[SPINE-2] different organisations have different tokens without wildcards or dots', () => {
  fc.assert(
    fc.property(organisations, organisations, (a, b) => {
      expect(encodeToken(a) === encodeToken(b)).toBe(a === b)
      expect(encodeToken(a)).toMatch(/^[A-Za-z0-9_-]+$/)
    }),
  )
})

test('[SPINE-2] each token stands for one text, and other texts are none', () => {
  const tokens = fc.oneof(fc.stringMatching(/^[A-Za-z0-9_-]{0,12}$/), fc.string())
  fc.assert(
    fc.property(tokens, token => {
      const text = decodeToken(token)
      if (text !== null) expect(encodeToken(text)).toBe(token)
    }),
  )
  expect(['_2', '_2E', '_61', '_ff', '', 'a.b', '_c3'].map(decodeToken)).toEqual([
    null,
    null,
    null,
    null,
    null,
    null,
    null,
  ])
})

test('[SPINE-2] connections and jobs for operators have subjects of their own in the space of their organisation', () => {
  fc.assert(
    fc.property(organisations, organisations, (organisation, operator) => {
      const { toServer, toClient } = connectionSubjects(organisation, 'c-1')
      const { kept, handed } = jobSubjects(organisation, operator)
      const own = [toServer, toClient, kept, handed]
      expect(new Set(own).size).toBe(4)
      for (const subject of [...own, helloSubject]) expect(parseSubject(subject)).toBe(null)
      for (const subject of own) {
        expect(subject.startsWith(`slipway.${encodeToken(organisation)}.`)).toBe(true)
        expect(subject.split('.')).toHaveLength(4)
      }
    }),
  )
})

test('[SPINE-2] what has no subject is refused, and what is none is not read', () => {
  expect(() => subjectOf('\ud800', 'a.b')).toThrow(RangeError)
  expect(() => subjectOf('a', 'a.*')).toThrow(RangeError)
  expect(['slipway.a', 'slipway.a.b', 'other.a.b.c', 'slipway.a.*.c', 'slipway..b.c'].map(parseSubject)).toEqual([
    null,
    null,
    null,
    null,
    null,
  ])
})
