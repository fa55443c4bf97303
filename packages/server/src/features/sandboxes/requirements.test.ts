import { expect, test } from 'vitest'

import { checkRequirements } from './requirements.ts'
import type { PythonSandboxes } from './sandboxes.ts'

const sandboxes = (packages: readonly string[]): PythonSandboxes => ({
  kind: 'wasm',
  open: () => Promise.reject(new Error('not asked for')),
  packages: () => Promise.resolve(new Map(packages.map(name => [name, '1.0']))),
  close: () => Promise.resolve(),
})

test('[SANDBOX-29] packages that scripts could not import are named', async () => {
  const lines = [
    'python-pptx>=0.6',
    '  numpy [extra] ~= 2.0 ; python_version > "3"',
    'a.b_C @ https://example.org/a.whl',
  ]
  expect(await checkRequirements(lines, sandboxes([]))).toEqual(['python-pptx', 'numpy', 'a.b_C'])
  expect(await checkRequirements(lines, sandboxes(['python-pptx', 'numpy', 'a-b-c']))).toEqual([])
})

test('[SANDBOX-29] comments, options and empty lines ask for nothing, and a name is reported once', async () => {
  const lines = ['# a comment', '', '-r other.txt', '--hash=sha256:1', 'x # why', 'x==2', '%broken%']
  expect(await checkRequirements(lines, sandboxes([]))).toEqual(['x', '%broken%'])
})

test('[SANDBOX-29] names are compared as package indexes do', async () => {
  expect(await checkRequirements(['Python_PPTX', 'python.pptx'], sandboxes(['python-pptx']))).toEqual([])
})
