import { AppError } from '@slipway/protocol/errors'
import { topicOfType, usualSchema, type JobTerms } from '@slipway/protocol/jobs'
import type { Spine } from '#features/spine/spine'
import { bytesOf } from './content.ts'

/** What the Spine is to publish of these terms. */
export function publicationOf(
  terms: JobTerms,
  { bodyText, path }: { readonly bodyText: string; readonly path: readonly string[] },
): Pick<
  Parameters<Spine['jobs']['publish']>[1],
  'topic' | 'schema' | 'payload' | 'priority' | 'orderingKey' | 'maxAttempts'
> {
  const { type, priority, orderingKey, maxAttempts } = terms
  const schema = terms.schema ?? usualSchema(type)
  if (schema === null)
    throw new AppError(
      'input.invalid',
      `No schema has the name of the type ${type}. Say in \`schema\` what its payload is.`,
    )
  return {
    topic: topicOfType(type),
    schema,
    payload: bytesOf(terms, bodyText, path),
    priority,
    orderingKey,
    maxAttempts,
  }
}
