import { afterAll, beforeAll, expect, test } from 'vitest'
import { demoInputs, openExample, type ExampleBed, type FinishedRun } from './testbed.ts'

let bed: ExampleBed
beforeAll(async () => {
  bed = await openExample('document-analysis')
})
afterAll(() => bed[Symbol.asyncDispose]())

async function analyse(document: string): Promise<FinishedRun & { readonly report: string }> {
  const finished = await bed.run('document-analysis', { raw_document: document })
  expect(finished.run).toMatchObject({ status: 'completed', error: null })
  return { ...finished, report: String(finished.answer) }
}

const minutes = `# Meeting of 4 May

The meeting was attended by Ms Lind and Mr Sato. It discussed the move to the new building.

# Tasks

Mr Sato must order the lorries before 20 May. Please send him the number of boxes by Friday.
`

test('[EXAMPLE-3] its folder deploys and runs with its demo inputs', async () => {
  const { run, answer } = await bed.run('document-analysis', await demoInputs('document-analysis'))
  expect(run).toMatchObject({ status: 'completed', error: null })
  expect(answer).toContain('The board must approve 38,000 euros')
})

test('[EXAMPLE-7] the report has kind, overview, sections in order and what to do', async () => {
  const { report } = await analyse(minutes)
  const parts = report.split(/^#+ .*$/m).map(part => part.trim())
  expect(report.match(/^#+ .*$/gm)).toEqual(['# Report', '## Overview', '## Section by section', '## What to do'])
  expect(parts[1]).toBe('- Kind of document: minutes\n- Size: 2 sections, 41 words')
  expect(parts[2]).not.toBe('')
  expect(parts[3]).toMatch(
    /^1\. \*\*Meeting of 4 May\*\* .*Ms Lind and Mr Sato.*\n2\. \*\*Tasks\*\* .*\(asks for action\)$/,
  )
  expect(parts[4]).toContain('- Mr Sato must order the lorries before 20 May.')
})

test('[EXAMPLE-8] text and data: URL give the same report', async () => {
  const url = `data:text/plain;base64,${Buffer.from(minutes, 'utf8').toString('base64')}`
  expect((await analyse(url)).report).toBe((await analyse(minutes)).report)
})

test('[EXAMPLE-9] a Chinese document is reported on in Chinese', async () => {
  const { report } = await analyse(
    '# 第三季度报告\n\n第三季度营业收入4.82亿元，同比增长12%。\n\n# 决定\n\n董事会必须在11月15日之前批准设备预算。',
  )
  expect(report).toMatch(/^# 报告\n\n- 文档类型: 报告\n- 篇幅: 2 节/)
  expect(report).toContain('**决定** 董事会必须在11月15日之前批准设备预算。 （要求采取行动）')
})

test.each(['', ' \n\t\n'])('[EXAMPLE-10] of the empty document %j it says that there is no text', async document => {
  const { report } = await analyse(document)
  expect(report).toContain('1. The document contains no text.')
  expect(report).toContain('The document asks nothing of its reader.')
})

test('[EXAMPLE-11] actions are asked for only where a section asks for action', async () => {
  const flow = '1.12.2'
  const asking = await analyse(minutes)
  expect(asking.trace.filter(call => call.flow_index === flow && call.type === 'model.generate')).toHaveLength(1)
  const plain = await analyse('The river is 80 km long. It rises in the hills and flows into the lake.')
  expect(plain.run.node_statuses[flow]).toBe('skipped')
  expect(plain.trace.filter(call => call.flow_index === flow)).toEqual([])
})
