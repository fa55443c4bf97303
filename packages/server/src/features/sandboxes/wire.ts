import { decodeValue, encodeValue } from '@slipway/engine/value/codec'
import { isList, PyDict, type Value } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'

import type { FunctionCall, SandboxLimits, ScriptCall } from './sandboxes.ts'

/** Values travel in the lossless form of the engine's codec, in the middle of an ordinary JSON text. */
export function callLine(id: number, call: FunctionCall): string {
  const { path, code, functionName, withBody } = call
  const head = JSON.stringify({ id, type: 'call', path, code, function: functionName, withBody })
  return `${head.slice(0, -1)},"args":${encodeValue(call.args)}}`
}

export function executeLine(id: number, call: ScriptCall): string {
  const { path, code } = call
  return `${JSON.stringify({ id, type: 'execute', path, code }).slice(0, -1)},"globals":${encodeValue(call.globals)}}`
}

export interface Reply {
  readonly value: Value
  /** What the script printed, cut at the limit. */
  readonly output: string
  /** Files that the script wrote, moved or removed, relative to the folder; the script's own claim. */
  readonly files: readonly string[]
}

/** Reads the reply to request `id`. Throws `sandbox.memory` if it says so, `sandbox.crashed` if it makes no sense. */
export function readReply(line: string, id: number, limits: SandboxLimits): Reply {
  const reply = decoded(line)
  if (reply?.get('id') === id && reply.get('type') === 'memory') {
    throw new AppError(
      'sandbox.memory',
      `The script used more memory than the ${limits.memoryBytes} bytes its sandbox allows.`,
    )
  }
  const value = reply?.get('value')
  if (reply?.get('id') !== id || reply.get('type') !== 'value' || value === undefined) {
    throw new AppError('sandbox.crashed', 'The Python sandbox gave an answer that makes no sense and was ended.')
  }
  const output = reply.get('output')
  return { value, output: typeof output === 'string' ? output : '', files: textsOf(reply.get('files')) }
}

const mostFiles = 1000
const longestPath = 4096

function textsOf(value: Value | undefined): string[] {
  if (!isList(value)) return []
  const texts = value.filter(item => typeof item === 'string')
  return texts.slice(0, mostFiles).map(text => text.slice(0, longestPath))
}

function decoded(line: string): PyDict | undefined {
  try {
    const reply = decodeValue(line)
    return reply instanceof PyDict ? reply : undefined
  } catch {
    return undefined
  }
}
