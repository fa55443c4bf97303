import { encodeValue } from '@slipway/engine/value/codec'
import type { Reference } from '@slipway/engine/reference/reference'
import type { StepRecord } from '@slipway/engine/run/records'

/** A step's record as the journal keeps it: JSON text, values in the engine's lossless form. */
export function encodeRecord(record: StepRecord): string {
  const { changes, truthMask, ...rest } = record
  return JSON.stringify({
    ...rest,
    changes: changes.map(({ reference, ...change }) => ({ ...change, ...encodedField('reference', reference) })),
    truthMask: truthMask && { ...truthMask, tensor: encodeReference(truthMask.tensor) },
  })
}

function encodedField(name: string, reference: Reference | null | undefined): object {
  return reference === undefined ? {} : { [name]: reference && encodeReference(reference) }
}

function encodeReference(reference: Reference): object {
  return { axes: reference.axes, shape: reference.shape, data: encodeValue(reference.data) }
}
