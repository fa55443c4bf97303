import { PyDict, PyFloat, PyTuple } from '@slipway/engine/value/value'
import { describe, expect, test } from 'vitest'

import { defaultLimits, limitsFrom } from './limits.ts'
import { callLine, executeLine, readReply } from './wire.ts'

describe('the conversation with an interpreter', () => {
  test('[SANDBOX-9] values stand in a line in the form of the engine', () => {
    const args = PyDict.from({ a: new PyFloat(1), b: 2n ** 64n, c: new PyTuple([null]) })
    const call = { path: 'p.py', code: 'x\n', functionName: 'f', args, withBody: true }
    expect(callLine(7, call)).toBe(
      '{"id":7,"type":"call","path":"p.py","code":"x\\n","function":"f","withBody":true,' +
        '"args":{"a":1.0,"b":18446744073709551616,"c":{"$tuple":[null]}}}',
    )
    expect(executeLine(8, { path: 'p.py', code: '', globals: PyDict.of([]) })).toBe(
      '{"id":8,"type":"execute","path":"p.py","code":"","globals":{}}',
    )
    const reply = '{"id":7,"type":"value","value":{"$tuple":[1.0]},"output":"o","files":["a.txt",7]}'
    expect(readReply(reply, 7, defaultLimits)).toEqual({
      value: new PyTuple([new PyFloat(1)]),
      output: 'o',
      files: ['a.txt'],
    })
    expect(readReply('{"id":7,"type":"value","value":1}', 7, defaultLimits)).toEqual({
      value: 1,
      output: '',
      files: [],
    })
  })

  test('[SANDBOX-31] a line that is no reply to this call is no reply', () => {
    for (const line of [
      ...['', 'x', '[]', 'null', '{}', '{"id":1}', '{"id":1,"type":"value"}', '{"id":1,"type":"other","value":1}'],
      ...['{"id":2,"type":"value","value":1}', '{"id":1,"type":"value","value":{"$dict":[[[],1]]}}'],
      ...['{"id":1,"type":"value","value":{"$tuple":1}}', `{"id":1,"type":"value","value":${'['.repeat(100_000)}`],
    ]) {
      expect(() => readReply(line, 1, defaultLimits), line.slice(0, 60)).toThrow(/makes no sense/)
    }
  })

  test('[SANDBOX-12] a script that ran out of memory is told apart', () => {
    expect(() => readReply('{"id":1,"type":"memory"}', 1, defaultLimits)).toThrow(
      expect.objectContaining({ code: 'sandbox.memory' }) as Error,
    )
    expect(() => readReply('{"id":2,"type":"memory"}', 1, defaultLimits)).toThrow(/makes no sense/)
  })

  test('[SANDBOX-17] limits of a session come before those of the server, and those before the defaults', () => {
    const limits = limitsFrom({ processes: 1 }, { processes: 2, fileBytes: 3 })
    expect(limits).toEqual({ ...defaultLimits, processes: 1, fileBytes: 3 })
  })
})
