import { describe, test } from 'vitest'

import { openProcessSandboxes, probeProcessSandbox } from './adapters/process-sandbox.ts'
import { sandboxContract } from './sandbox.contract.ts'

const probe = await probeProcessSandbox()

if (probe.works) sandboxContract('process', () => Promise.resolve(openProcessSandboxes(probe)))
else describe.skip(`process: Python sandboxes (${probe.reason})`, () => test('needs bubblewrap and python3'))
