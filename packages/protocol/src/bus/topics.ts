import { z } from 'zod'

/**
 * Where messages and jobs go: two to eight words with dots between them, such as `nvm.jobs` or `bowlnet.features`. The
 * last word says what a topic is for; topics of the first word `system` are the server's own.
 */
export const Topic = z
  .string()
  .max(200)
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}(\.[A-Za-z0-9][A-Za-z0-9_-]{0,63}){1,7}$/,
    'A topic is two to eight words of letters, digits, _ and -, with dots between them, such as genesis.jobs.',
  )

export type TopicKind = 'jobs' | 'results' | 'streams' | 'system' | 'events'

/** The topic where operators say what they are and how they fare. */
export const operatorsTopic = 'system.control.operators'

export function topicKind(topic: string): TopicKind {
  if (topic.startsWith('system.')) return 'system'
  const last = topic.slice(topic.lastIndexOf('.') + 1)
  return last === 'jobs' || last === 'results' || last === 'streams' ? last : 'events'
}

/** Of the plan engine, which takes runs from their own tables: no operator gets between them. */
export const planTopic = 'plan.jobs'

/** Takes jobs: work that one operator does and answers. */
export const JobTopic = Topic.refine(
  topic => topicKind(topic) === 'jobs',
  'Jobs go to topics that end in .jobs and do not begin with system.',
).refine(topic => topic !== planTopic, 'plan.jobs belongs to the plan engine. A run is submitted over HTTP.')

/** `genesis.jobs` -> `genesis.results`, where results of its jobs are published. */
export function resultsOf(jobTopic: string): string {
  return sibling(jobTopic, 'results')
}

/** `genesis.jobs` -> `genesis.streams`, where streams of its jobs are published. */
export function streamsOf(jobTopic: string): string {
  return sibling(jobTopic, 'streams')
}

function sibling(topic: string, kind: 'results' | 'streams'): string {
  return `${topic.slice(0, topic.lastIndexOf('.'))}.${kind}`
}
