import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, realpath, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { PyDict, type Value } from '@slipway/engine/value/value'
import { afterAll, describe, expect, test } from 'vitest'

import { startImages } from '#app/testing'

import { openProcessSandboxes, probeProcessSandbox } from './adapters/process-sandbox.ts'
import { openWasmSandboxes } from './adapters/wasm-sandbox.ts'
import type { PythonSandboxes } from './sandboxes.ts'

const folderOfScripts = '../shared/data/normcode/addition/generated_scripts'
const here = existsSync(folderOfScripts)
const probe = here ? await probeProcessSandbox() : undefined
const images = await startImages()

const expected: readonly [string, Record<string, Value>, Value][] = [
  ['op_get_digit', { input_1: '123', input_2: '1 digit counting from the right' }, '3'],
  ['op_remove_digit', { input_1: '123', input_2: '1 digit counting from the right' }, '12'],
  ['op_remove_digit', { input_1: '7', input_2: '1 digit counting from the right' }, '0'],
  ['op_sum', { input_1: '3 and 8', input_2: '1' }, '12'],
  ['op_get_remainder', { input_1: 'what is left', input_2: '12' }, '2'],
  ['op_get_quotient', { input_1: 'what is carried', input_2: '12' }, '1'],
  ['op_is_zero', { input_1: '0' }, 'True'],
  ['op_is_carry_zero', { input_1: '1' }, 'False'],
]

describe.skipIf(!here)('scripts of the addition plan', () => {
  suite('wasm', openWasmSandboxes({ dataFolder: images }))
  if (probe?.works) suite('process', openProcessSandboxes(probe))
  else test.skip(`process (${probe?.reason ?? 'no scripts'})`, () => undefined)
})

function suite(kind: string, sandboxes: PythonSandboxes): void {
  describe(kind, () => {
    afterAll(() => sandboxes.close())
    test('[SANDBOX-1] give what the reference engine got', async () => {
      const folder = await realpath(await mkdtemp(join(tmpdir(), 'slipway-addition-')))
      const session = await sandboxes.open({ folder })
      for (const [name, globals, result] of expected) {
        const path = `generated_scripts/${name}.py`
        const code = readFileSync(join(folderOfScripts, `${name}.py`), 'utf8')
        expect(await session.execute({ path, code, globals: PyDict.from(globals) }), name).toBe(result)
      }
      await rm(folder, { recursive: true })
    }, 60_000)
  })
}
