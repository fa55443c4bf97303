import { createHash } from 'node:crypto'
import type { Interaction } from '@slipway/engine/run/effects'
import { parseJson } from '@slipway/kit/json'
import { AppError } from '@slipway/protocol/errors'
import type { PendingInput } from '@slipway/protocol/inputs'
import type { Database, Tx } from '#db/database'
import {
  answerInput,
  findInput,
  findInputByKey,
  findInputOf,
  selectAnswered,
  selectExpired,
  selectOpenInputs,
  type InputRow,
} from './input-store.ts'
import type { Caller } from './known-run.ts'
import { lockRun, unfinished, updateRunIf } from './run-store.ts'

/** What a person may answer: text, a yes or no, or paths of files. */
export type Answer = string | boolean | readonly string[]

export interface Question {
  readonly runId: string
  readonly planId: string
  readonly key: string
  readonly flowIndex: string
  readonly type: Interaction['type'] | 'chat' | 'repeat_call'
  readonly prompt: string
  readonly initialText: string | null
  /** After how many milliseconds it closes by itself; null when it stays open. */
  readonly openForMs: number | null
}

/** A question as somebody asks for it. Those of other organisations are not there. */
export interface QuestionRef {
  readonly by: Caller
  readonly id: string
}

interface Closed {
  readonly closed: 'cancelled' | 'expired'
  readonly reason: string
}

export interface InputPage {
  readonly inputs: readonly PendingInput[]
  /** What to give as `after` for the next page. */
  readonly next: string | null
}

/** Questions of runs to people. A question is on disk before it is shown, and its answer before the run sees it. */
export class People {
  readonly #db: Database
  readonly #now: () => number
  /** Drivers of this server that wait for the end of a question. */
  readonly #waiting = new Map<string, () => void>()

  constructor(db: Database, now: () => number) {
    this.#db = db
    this.#now = now
  }

  /**
   * Waits for the answer, however long; a new question is put on disk by `write`, with whatever tells of it, and `asked`
   * is called when nothing but the answer is missing. Throws `input.cancelled` or `input.expired` when there will be none.
   */
  async ask(
    question: Question,
    options: {
      readonly signal: AbortSignal
      readonly write: (input: InputRow) => Promise<void>
      readonly asked: () => void
    },
  ): Promise<{ readonly inputId: string; readonly answer: Answer }> {
    const id = inputId(question)
    // Listen first and look second, so that an answer that comes in between is not missed.
    const ended = this.#wait(id, options.signal)
    ended.catch(() => undefined)
    const known = await findInputByKey(this.#db.read, question.runId, question.key)
    if (known?.answer != null) return { inputId: id, answer: readEnd(known) }
    if (!known) await options.write(this.#newRow(id, question))
    options.asked()
    await ended
    const row = await findInput(this.#db.read, id)
    if (!row) throw unknownInput(id)
    return { inputId: id, answer: readEnd(row) }
  }

  /** Throws `question.unknown` for a question that is not open and `input.invalid` for an answer of the wrong kind. */
  async answer(asked: QuestionRef, answer: Answer): Promise<InputRow> {
    const input = await this.#open(asked)
    checkKind(input, answer)
    if (!(await this.#end(input, { answer: JSON.stringify(answer), closed: null }))) throw unknownInput(input.id)
    return input
  }

  /** Closes a question without an answer: the step that asks fails. */
  async cancel(asked: QuestionRef, reason: string): Promise<void> {
    const input = await this.#open(asked)
    const closed = await this.#end(input, { answer: JSON.stringify(reason), closed: 'cancelled' })
    if (!closed) throw unknownInput(input.id)
  }

  /** Closes the questions whose time is over. */
  async expire(): Promise<void> {
    for (const { id } of await selectExpired(this.#db.read, this.#db.dialect)) {
      const input = await findInput(this.#db.read, id)
      const reason = 'Nobody answered in time.'
      if (input) await this.#end(input, { answer: JSON.stringify(reason), closed: 'expired' })
    }
  }

  async get(asked: QuestionRef): Promise<PendingInput> {
    return toPendingInput(await this.#open(asked))
  }

  async open(
    { organisation }: Pick<Caller, 'organisation'>,
    filter: {
      readonly runId: string | undefined
      readonly limit: number
      readonly after?: string | undefined
    },
  ): Promise<InputPage> {
    const { runId, limit } = filter
    const rows = await selectOpenInputs(this.#db.read, {
      organisation,
      runId,
      limit: limit + 1,
      after: placeOf(filter.after),
    })
    const page = rows.slice(0, limit)
    const last = page.at(-1)
    return {
      inputs: page.map(toPendingInput),
      next: rows.length > limit && last ? `${last.asked_at}.${last.id}` : null,
    }
  }

  /** Looks whether questions of a run have ended meanwhile, perhaps at another server. */
  async look(runId: string): Promise<void> {
    if (this.#waiting.size === 0) return
    for (const { key } of await selectAnswered(this.#db.read, runId)) this.#waiting.get(inputId({ runId, key }))?.()
  }

  async #open({ by, id }: QuestionRef): Promise<InputRow> {
    const input = await findInputOf(this.#db.read, { organisation: by.organisation, id })
    if (!input || input.answer !== null) throw unknownInput(id)
    return input
  }

  /** A run that keeps no worker while it waits is put back into the queue. */
  async #end(
    input: InputRow,
    end: { readonly answer: string; readonly closed: Closed['closed'] | null },
  ): Promise<boolean> {
    return this.#db.transaction(async tx => {
      // Kept until the end, so that a run that is about to wait sees the answer or is seen waiting.
      const run = await lockRun(tx, input.run_id, this.#db.dialect)
      if (!run || !unfinished.includes(run.status)) return false
      if (!(await answerInput(tx, input.id, end))) return false
      await updateRunIf(tx, { runId: input.run_id, from: ['waiting'] }, { status: 'pending' })
      await this.#db.notify(tx, 'slipway_runs', input.run_id)
      return true
    })
  }

  #wait(id: string, signal: AbortSignal): Promise<void> {
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
      this.#waiting.set(id, () => {
        settle()
        resolve()
      })
    })
  }

  #newRow(id: string, question: Question): InputRow {
    const askedAt = this.#now()
    return {
      id,
      run_id: question.runId,
      plan_id: question.planId,
      key: question.key,
      flow_index: question.flowIndex,
      type: question.type,
      prompt: question.prompt,
      initial_text: question.initialText,
      asked_at: askedAt,
      expires_at: question.openForMs === null ? null : askedAt + question.openForMs,
      answer: null,
      closed: null,
    }
  }
}

/** Whether one of the questions that were asked for these calls has ended by now. */
export async function isAnswered(tx: Tx, runId: string, keys: readonly string[]): Promise<boolean> {
  const answered = new Set((await selectAnswered(tx.sql, runId)).map(({ key }) => askedFor(key)))
  return keys.some(key => answered.has(key))
}

/** The key of the question whether a call is to be made again. */
export function repetitionKey(key: string): string {
  return `${key}?repeat`
}

/** The call that a question was asked for. */
function askedFor(key: string): string {
  return key.endsWith('?repeat') ? key.slice(0, -'?repeat'.length) : key
}

// The same question of the same run has the same id, whatever server asks it again.
export function inputId({ runId, key }: Pick<Question, 'runId' | 'key'>): string {
  const hash = createHash('sha256').update(`${runId}\n${key}`).digest('hex')
  return `in_${hash.slice(0, 20)}`
}

function placeOf(after: string | undefined): { readonly askedAt: number; readonly id: string } | undefined {
  if (after === undefined) return undefined
  const [, askedAt, id] = /^(\d{1,15})\.(.+)$/.exec(after) ?? []
  if (askedAt === undefined || id === undefined)
    throw new AppError('input.invalid', '`after` is not a place in the list. Use the one of the `Link` header.')
  return { askedAt: Number(askedAt), id }
}

function toPendingInput(row: InputRow): PendingInput {
  return {
    input_id: row.id,
    run_id: row.run_id,
    plan_id: row.plan_id,
    flow_index: row.flow_index,
    type: row.type,
    prompt: row.prompt,
    initial_text: row.initial_text,
    asked_at: new Date(row.asked_at).toISOString(),
    expires_at: row.expires_at === null ? null : new Date(row.expires_at).toISOString(),
  } as PendingInput
}

function checkKind(input: InputRow, answer: Answer): void {
  const isYesOrNo = input.type === 'confirm' || input.type === 'repeat_call'
  const wanted = isYesOrNo ? 'boolean' : input.type === 'multi_file_input' ? 'list' : 'text'
  const given = typeof answer === 'boolean' ? 'boolean' : typeof answer === 'string' ? 'text' : 'list'
  if (wanted === given) return
  const expected = { boolean: 'true or false', list: 'a list of paths', text: 'text' }[wanted]
  throw new AppError('input.invalid', `This question is answered with ${expected}.`)
}

/** The answer of a question that has ended; throws when it was closed without one. */
function readEnd({ answer, closed }: InputRow): Answer {
  const content = parseJson(answer ?? 'null') as Answer
  if (closed === 'cancelled') throw new AppError('input.cancelled', `The question was cancelled: ${String(content)}`)
  if (closed === 'expired') throw new AppError('input.expired', String(content))
  return content
}

function unknownInput(id: string): AppError {
  return new AppError('question.unknown', `No open question has the id ${id}. \`slipway inputs\` lists the open ones.`)
}
