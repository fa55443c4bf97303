import { JsonError, readJson } from '@slipway/engine/value/json-read'
import type { Value } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'

/** A body read without loss: `1.0`, long integers and the order of keys reach the plan as they were sent. */
export function readBody(bodyText: string): Value {
  try {
    return readJson(bodyText)
  } catch (cause) {
    if (!(cause instanceof JsonError)) throw cause
    throw new AppError('input.invalid', `The body holds a value that a plan cannot have: ${cause.message}.`, { cause })
  }
}
