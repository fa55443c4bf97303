import { expect, test } from 'vitest'
import { demoAnswer, demoNote } from './demo-answer.ts'

const audit = `The quarterly audit of the Northwind warehouse took place in May.
Inventory records were wrong for 12 of 340 pallets. The fire doors on level two do not close.
Management has agreed to repair the doors before July. Staff training is complete.
The auditor rates the overall risk as high because of the fire doors.`

function answer(prompt: string): Record<string, unknown> {
  return JSON.parse(demoAnswer(prompt, { json: false })) as Record<string, unknown>
}

test('[MODEL-21] the same prompt gets the same answer, which says what it is', () => {
  const prompt = `Summarise the text.\n\nText:\n${audit}`
  const first = demoAnswer(prompt, { json: false })
  expect(demoAnswer(prompt, { json: false })).toBe(first)
  expect(first.startsWith(`[${demoNote}]\n\n`)).toBe(true)
  expect(answer(`${prompt}\n\nReturn JSON: {"result": "..."}`)).toMatchObject({ note: demoNote })
  expect(answer(`${prompt}\n\nReturn JSON: {"note": "<a note>"}`)).toMatchObject({ model_note: demoNote })
})

test('[MODEL-22] a fenced example gives keys, order and types', () => {
  const prompt = `Analyse.\n\n## Document\n${audit}\n\n## Output\nReturn a JSON object:
\`\`\`json
{
  "thinking": "...",
  "answer": {
    "action": "HOLD",
    "urgent": true,
    "score": <float between -1.0 (bad) and 1.0 (good)>,
    "confidence": 0.0-1.0,
    "reasons": [<list of reasons>],
    "level": "low|medium|high",  // how bad it is
    "parts": [{"name": "...", "size": 1}],
    "extra": {
      // more
    }
  }
}
\`\`\``
  const found = answer(prompt)
  expect(Object.keys(found)).toEqual(['thinking', 'answer', 'note'])
  expect(found['answer']).toEqual({
    action: 'HOLD',
    urgent: expect.any(Boolean) as boolean,
    score: expect.any(Number) as number,
    confidence: 0.5,
    reasons: expect.arrayContaining([expect.any(String)]) as string[],
    level: 'high',
    parts: expect.arrayContaining([
      { name: expect.any(String) as string, size: expect.any(Number) as number },
    ]) as object[],
    extra: {},
  })
})

test.each([
  ['Return JSON with keys "thinking" and "result", where "result" is true or false.', { result: 'boolean' }],
  [
    'Respond with a JSON object with keys title, risk and summary.',
    { title: 'string', risk: 'string', summary: 'string' },
  ],
  ['返回一个包含"answer"字段的JSON对象。', { answer: 'string' }],
  [
    'Answer in JSON.\n- "ready": true if the doors are repaired\n- "count": an integer',
    { ready: 'boolean', count: 'number' },
  ],
  ['Return JSON.', { answer: 'string' }],
])('[MODEL-22] %s', (order, types) => {
  const found = answer(`Look at the document.\n\nDocument:\n${audit}\n\n${order}`)
  for (const [key, type] of Object.entries(types)) expect([key, typeof found[key]]).toEqual([key, type])
})

test('[MODEL-22] data in the prompt is not taken for the shape of the answer', () => {
  const data = JSON.stringify({ headline: 'Gold rises', body: 'Demand is strong.' })
  const found = answer(`## Input\n**News Data**: ${data}\n\n## Output\nReturn JSON {"summary": "<text>"}`)
  expect(Object.keys(found)).toEqual(['summary', 'note'])
  expect(found['summary']).toMatch(/Gold rises|Demand is strong/)
})

test.each([
  ['Decide whether the document reports a problem with the fire doors.', true],
  ['Decide whether the staff training is complete.', true],
  ['Is there a problem with the payroll system?', false],
  ['Judge whether the doors close.', false],
])('[MODEL-23] judged from the text: %s', (question, expected) => {
  const found = answer(
    `${question}\n\nDocument:\n${audit}\n\nReturn JSON {"thinking": "<why>", "result": true | false}`,
  )
  expect(found['result']).toBe(expected)
})

test.each([
  ['The invoice is overdue since March and no payment came.', 'billing'],
  ['I forgot my password and the login page rejects me.', 'access'],
  ['We can not log in any more.', 'access'],
  ['Lovely weather.', 'other'],
])('[MODEL-23] chosen from the text: %s', (text, expected) => {
  const prompt = `Classify the message.
- billing: invoice, payment, refund
- access: password, login, account
- other: anything else

Message: ${text}

Return JSON {"category": "billing|access|other"}`
  expect(answer(prompt)['category']).toBe(expected)
})

test('[MODEL-23] sentences, key words and figures come from the text', () => {
  const found = answer(
    `List the findings.\n<document>\n${audit}\n</document>\nReturn JSON: {"findings": ["<up to 3 findings>"], "keywords": ["..."], "pallets_wrong": <integer>, "summary": "<one sentence>"}`,
  )
  for (const finding of found['findings'] as string[]) expect(audit).toContain(finding)
  expect(found['findings']).toHaveLength(3)
  expect(found['keywords']).toContain('doors')
  expect(found['pallets_wrong']).toBe(12)
  expect(audit).toContain(found['summary'])
})

test('[MODEL-23] headings and abbreviations are no sentences', () => {
  const text = '## Next steps\nMr. Lee confirms the audit of St. Mary, e.g. by phone. Costs rose by 1.5 %.'
  const found = answer(
    `List all.\n<text>\n${text}\n</text>\nReturn JSON {"title": "...", "items": ["<up to 5 items>"]}`,
  )
  expect(found['items']).toEqual(['Mr. Lee confirms the audit of St. Mary, e.g. by phone.', 'Costs rose by 1.5 %.'])
  expect(found['title']).toBe('Next steps')
})

test('[MODEL-23] clauses for true and false decide against each other', () => {
  const prompt = (text: string): string =>
    `Return true if the message says goodbye, bye or see you.\nReturn false if the message is a question or command.\n\nMessage: ${text}\n\nReturn JSON {"result": true}`
  expect(answer(prompt('goodbye and thanks'))['result']).toBe(true)
  expect(answer(prompt('one more question'))['result']).toBe(false)
})

test.each([
  ['Does the text mention fire doors? Answer only yes or no.', 'yes'],
  ['Does the text mention unicorns? Answer only yes or no.', 'no'],
  ['Is the staff training complete? Return a single boolean value.', 'true'],
  ['How high is the risk? Reply with exactly one of: low, medium, high.', 'high'],
])('[MODEL-24] %s', (order, expected) => {
  expect(demoAnswer(`${order}\n\nText:\n${audit}`, { json: false })).toBe(expected)
})

test('[MODEL-25] Chinese text works like any other', () => {
  const found = answer(`评估文档是否提到消防门。

## 输入
仓库审计在五月进行。二楼的消防门无法关闭，这是一个严重问题！员工培训已经完成。

## 输出
返回一个JSON对象：
\`\`\`json
{"result": true, "summary": "<一句话总结>", "findings": ["..."]}
\`\`\``)
  expect(found['result']).toBe(true)
  expect(found['summary']).toBe('二楼的消防门无法关闭，这是一个严重问题！')
})

test('[MODEL-26] JSON mode always gives JSON', () => {
  for (const prompt of ['', 'Hello', '{', 'Return {"a": [', audit]) {
    expect(() => JSON.parse(demoAnswer(prompt, { json: true })) as unknown).not.toThrow()
  }
})

test.each([
  '{',
  '"',
  'keys ',
  '<a>\n',
  'x:\n',
  '[{"a":',
  '- "a": b|c\n',
  '。',
  'one true or ',
  '{"a": [{"b": "x|y"}]} ',
])('[MODEL-26] a prompt full of %j is answered', part => {
  const prompt = `Return JSON {"a": "x|y", "b": true, "c": ["d"], "e": [{"f": [{"g": 1}]}]} ${part.repeat(200_000 / part.length)}`
  expect(Object.keys(answer(prompt))).toContain('note')
})
