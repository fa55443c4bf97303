import { createInterface } from 'node:readline/promises'
import type { PendingInput } from '@slipway/protocol/inputs'
import type { Client } from '@slipway/sdk/client'
import type { Answer } from '@slipway/sdk/inputs'
import { localTime, plain } from './text.ts'
import type { Terminal } from './terminal.ts'

function isYesOrNo(type: PendingInput['type']): boolean {
  return type === 'confirm' || type === 'repeat_call'
}

/** What a typed line means as an answer; null when it is none. */
export function readAnswer(type: PendingInput['type'], text: string): Answer | null {
  if (isYesOrNo(type)) {
    if (/^(y|yes|true|1)$/i.test(text.trim())) return true
    return /^(n|no|false|0)$/i.test(text.trim()) ? false : null
  }
  if (type !== 'multi_file_input') return text
  return text
    .split(',')
    .map(path => path.trim())
    .filter(path => path !== '')
}

export function questionLines(question: PendingInput): string[] {
  const open = question.expires_at === null ? '' : ` until ${localTime(question.expires_at)}`
  return [
    `${question.run_id} asks (step ${question.flow_index}${open}): ${plain(question.prompt)}`,
    `  Answer with: slipway answer ${question.input_id} ${exampleAnswer(question.type)}`,
  ]
}

function exampleAnswer(type: PendingInput['type']): string {
  if (isYesOrNo(type)) return 'yes|no'
  return type === 'multi_file_input' ? '--file a.txt --file b.txt' : '"your answer"'
}

/** Puts all open questions of a run to the person at the terminal, one after the other. */
export async function askAtTerminal(
  { client, terminal }: { client: Client; terminal: Terminal },
  runId: string,
  { signal }: { signal: AbortSignal },
): Promise<void> {
  for (const question of await client.inputs({ runId, signal })) {
    terminal.print(`${terminal.paint('bold', '?')} ${plain(question.prompt)}`)
    if (question.initial_text) terminal.print(terminal.paint('dim', plain(question.initial_text)))
    await client.answer(question.input_id, await askUntilClear(question, { terminal, signal }), { signal })
  }
}

async function askUntilClear(
  question: PendingInput,
  { terminal, signal }: { terminal: Terminal; signal: AbortSignal },
): Promise<Answer> {
  using lines = createInterface({ input: process.stdin, output: process.stdout })
  const prompt = isYesOrNo(question.type)
    ? '[y/n] '
    : question.type === 'multi_file_input'
      ? 'paths, with commas: '
      : '> '
  // Readline takes Ctrl-C for itself while it asks; give it back to the process.
  lines.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  for (;;) {
    const typed = await lines.question(prompt, { signal })
    const answer = readAnswer(question.type, typed === '' ? (question.initial_text ?? '') : typed)
    if (answer !== null) return answer
    terminal.print('Please answer y or n.')
  }
}
