import { JsonError, readJson } from '@slipway/engine/value/json-read'
import { PyDict, type Value } from '@slipway/engine/value/value'
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

/** The inputs in the body of a request for a run. */
export function inputsOf(body: Value): PyDict {
  const given = body instanceof PyDict ? (body.get('inputs') ?? body.get('ground_inputs')) : null
  return given instanceof PyDict ? given : new PyDict()
}
