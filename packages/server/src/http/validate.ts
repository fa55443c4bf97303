import { AppError } from '@slipway/protocol/errors'
import type { Route } from '@slipway/protocol/route'
import type { z } from 'zod'

export interface RawRequest {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
}

export interface InvalidPart {
  /** Such as `body.inputs` or `query.limit`. */
  readonly path: string
  readonly message: string
}

/** The parts of a request in the route's own shapes. Throws `input.invalid` with everything that is wrong at once. */
export function validate(route: Pick<Route, 'params' | 'query' | 'body'>, raw: RawRequest): RawRequest {
  const problems: InvalidPart[] = []
  const parse = (part: keyof RawRequest): unknown => {
    const schema = route[part]
    if (!schema) return undefined
    const result = schema.safeParse(raw[part])
    if (!result.success) problems.push(...problemsOf(part, result.error))
    return result.data
  }
  const checked = { params: parse('params'), query: parse('query'), body: parse('body') }
  if (problems.length > 0) {
    const said = problems.map(({ path, message }) => `${path}: ${message}`).join('; ')
    throw new AppError('input.invalid', `The request is not valid. ${said}`, { details: problems })
  }
  return checked
}

const mostProblems = 50

function problemsOf(part: string, error: z.ZodError): InvalidPart[] {
  return error.issues
    .slice(0, mostProblems)
    .map(issue => ({ path: [part, ...issue.path.map(String)].join('.'), message: issue.message }))
}
