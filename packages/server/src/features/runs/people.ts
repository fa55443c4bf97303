import { createHash } from 'node:crypto'
import type { Interaction } from '@slipway/engine/run/effects'
import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import type { PendingInput } from '@slipway/protocol/runs'
import type { Database } from '#db/database'
import { answerInput, findInput, findInputByKey, selectOpenInputs, type InputRow } from './run-store.ts'

/** What a person may answer: text, a yes or no, or paths of files. */
export type Answer = string | boolean | readonly string[]

export interface Question {
  readonly runId: string
  readonly planId: string
  readonly key: string
  readonly flowIndex: string
  readonly type: Interaction['type'] | 'chat'
  readonly prompt: string
  readonly initialText: string | null
}

/** Questions of runs to people. A question is on disk before it is shown, and its answer before the run sees it. */
export class People {
  readonly #db: Database
  readonly #now: () => number
  readonly #waiting = new Map<string, (answer: Answer) => void>()

  constructor(db: Database, now: () => number) {
    this.#db = db
    this.#now = now
  }

  /** Waits for the answer, however long; a new question is put on disk by `write`, with whatever tells of it. */
  async ask(
    question: Question,
    options: { readonly signal: AbortSignal; readonly write: (input: InputRow) => Promise<void> },
  ): Promise<{ readonly inputId: string; readonly answer: Answer }> {
    const id = inputId(question)
    // Listen first and look second, so that an answer that comes in between is not missed.
    const answered = this.#wait(id, options.signal)
    answered.catch(() => undefined)
    const known = await findInputByKey(this.#db.read, question.runId, question.key)
    if (known?.answer != null) this.#waiting.get(id)?.(readAnswer(known.answer))
    if (!known) await options.write(this.#newRow(id, question))
    return { inputId: id, answer: await answered }
  }

  /** Throws `input.unknown` for a question that is not open and `input.invalid` for an answer of the wrong kind. */
  async answer(id: string, answer: Answer): Promise<InputRow> {
    const input = await findInput(this.#db.read, { id })
    if (!input) throw unknownInput(id)
    checkKind(input, answer)
    const stored = await this.#db.transaction(tx => answerInput(tx, id, JSON.stringify(answer)))
    if (!stored) throw unknownInput(id)
    this.#waiting.get(id)?.(answer)
    return input
  }

  async open(runId: string | undefined): Promise<PendingInput[]> {
    const rows = await selectOpenInputs(this.#db.read, runId)
    return rows.map(
      row =>
        ({
          input_id: row.id,
          run_id: row.run_id,
          plan_id: row.plan_id,
          flow_index: row.flow_index,
          type: row.type,
          prompt: row.prompt,
          initial_text: row.initial_text,
          asked_at: new Date(row.asked_at).toISOString(),
        }) as PendingInput,
    )
  }

  #wait(id: string, signal: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waiting.delete(id)
        signal.removeEventListener('abort', onAbort)
      }
      const onAbort = (): void => {
        settle()
        reject(signal.reason as Error)
      }
      if (signal.aborted) return reject(signal.reason as Error)
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.set(id, answer => {
        settle()
        resolve(answer)
      })
    })
  }

  #newRow(id: string, question: Question): InputRow {
    return {
      id,
      run_id: question.runId,
      plan_id: question.planId,
      key: question.key,
      flow_index: question.flowIndex,
      type: question.type,
      prompt: question.prompt,
      initial_text: question.initialText,
      asked_at: this.#now(),
      answer: null,
    }
  }
}

// The same question of the same run has the same id, whatever server asks it again.
function inputId(question: Question): string {
  const hash = createHash('sha256').update(`${question.runId}\n${question.key}`).digest('hex')
  return `in_${hash.slice(0, 20)}`
}

function checkKind(input: InputRow, answer: Answer): void {
  const wanted = input.type === 'confirm' ? 'boolean' : input.type === 'multi_file_input' ? 'list' : 'text'
  const given = typeof answer === 'boolean' ? 'boolean' : typeof answer === 'string' ? 'text' : 'list'
  if (wanted === given) return
  const expected = { boolean: 'true or false', list: 'a list of paths', text: 'text' }[wanted]
  throw new AppError('input.invalid', `This question is answered with ${expected}.`)
}

function readAnswer(text: string): Answer {
  return parseJson(text) as Answer
}

function unknownInput(id: string): AppError {
  return new AppError('input.unknown', `No open question has the id ${id}. \`slipway inputs\` lists the open ones.`)
}
