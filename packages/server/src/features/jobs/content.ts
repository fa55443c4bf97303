import { AppError } from '@slipway/protocol/errors'
import type { Content } from '@slipway/protocol/jobs'
import { jsonText, readToPassOn } from '#http/json-text'

/** A payload as somebody gives it. */
export interface GivenPayload {
  readonly type: string
  readonly schema?: string | undefined
  readonly payloadBase64?: string | undefined
}

/** The payload as HTTP carries it. */
export function contentOf({ schema, payload }: { readonly schema: string; readonly payload: Uint8Array }): Content {
  try {
    return { schema, payload: readToPassOn(new TextDecoder('utf-8', { fatal: true }).decode(payload)) }
  } catch {
    return { schema, payloadBase64: Buffer.from(payload).toString('base64') }
  }
}

/**
 * The bytes of a payload: of the JSON at this path of the body, read as it was written, unless base64 is given. Throws
 * `input.invalid` where both are.
 */
export function bytesOf({ payloadBase64 }: GivenPayload, bodyText: string, path: readonly string[]): Uint8Array {
  const json = valueAt(bodyText, path)
  if (payloadBase64 === undefined) return Buffer.from(jsonText(json ?? null))
  if (json !== undefined) throw new AppError('input.invalid', 'Give `payload` or `payloadBase64`, not both.')
  return Buffer.from(payloadBase64, 'base64')
}

function valueAt(bodyText: string, path: readonly string[]): unknown {
  try {
    return path.reduce<unknown>(
      (inside, key) => (inside as Readonly<Record<string, unknown>>)[key],
      readToPassOn(bodyText),
    )
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause
    throw new AppError('input.invalid', 'The payload is nested too deeply.', { cause })
  }
}
