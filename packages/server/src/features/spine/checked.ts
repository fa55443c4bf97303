import { AppError } from '@slipway/protocol/errors'
import type { z } from 'zod'

/** What came from a caller, as its schema has it. Throws `input.invalid` that names every problem. */
export function checked<Schema extends z.ZodType>(schema: Schema, given: unknown): z.output<Schema> {
  const parsed = schema.safeParse(given)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }))
  const [first] = problems
  throw new AppError('input.invalid', `${first?.path || 'The input'}: ${first?.message ?? 'is not valid.'}`, {
    details: problems,
  })
}
