import fc from 'fast-check'
import { expect, test } from 'vitest'
import { JobTopic, Topic, operatorsTopic, resultsOf, streamsOf, topicKind } from './topics.ts'

test('[SPINE-1] topics are two to eight words', () => {
  const good = ['nvm.jobs', operatorsTopic, 'a.b', 'A-1.b_2.c', 'a.b.c.d.e.f.g.h', `${'x'.repeat(64)}.jobs`]
  const bad = [
    '',
    'jobs',
    '.jobs',
    'a.',
    'a..b',
    'a b.jobs',
    'a.*',
    'a.>',
    'ä.jobs',
    '-a.b',
    'a.b.c.d.e.f.g.h.i',
    'a.b\n',
  ]
  expect(good.filter(topic => !Topic.safeParse(topic).success)).toEqual([])
  expect([...bad, `${'x'.repeat(65)}.jobs`].filter(topic => Topic.safeParse(topic).success)).toEqual([])
})

test('[SPINE-1] the ending says what a topic is for', () => {
  const kinds = ['nvm.jobs', 'nvm.results', 'a.b.streams', 'bowlnet.features', 'system.work.jobs', 'jobs.list'].map(
    topicKind,
  )
  expect(kinds).toEqual(['jobs', 'results', 'streams', 'events', 'system', 'events'])
  expect(JobTopic.safeParse('system.work.jobs').success).toBe(false)
  expect([resultsOf('a.b.jobs'), streamsOf('a.b.jobs')]).toEqual(['a.b.results', 'a.b.streams'])
})

test('[SPINE-1] different job topics have different topics of results', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_-]{0,5}$/)
  const topic = fc.array(word, { minLength: 1, maxLength: 3 }).map(words => `${words.join('.')}.jobs`)
  fc.assert(fc.property(topic, topic, (a, b) => (resultsOf(a) === resultsOf(b)) === (a === b)))
})
