import { api } from '@slipway/protocol/api'
import type { PendingInput } from '@slipway/protocol/inputs'
import type { BodyInputOf, ReplyOf } from '@slipway/protocol/route'
import { asRunId } from './ids.ts'
import { uploadTimeoutMs, type Page, type Transport, type Waiting } from './transport.ts'

export type Answer = BodyInputOf<typeof api.answerInput>['answer']

interface OfRun {
  readonly runId?: string | undefined
}

export interface NamedFile {
  readonly name: string
  readonly content: Uint8Array | Blob
}

/** Questions of runs to people. */
export interface InputMethods {
  /** All questions that wait for a person, oldest first; of one run when `runId` is given. */
  inputs(options?: OfRun & Waiting): Promise<readonly PendingInput[]>
  /** The same page by page. `next` is the `after` of the following page, or null at the end. */
  inputPage(
    options?: OfRun & { readonly limit?: number | undefined; readonly after?: string | undefined } & Waiting,
  ): Promise<Page<PendingInput>>
  input(inputId: string, options?: Waiting): Promise<PendingInput>
  answer(inputId: string, answer: Answer, options?: Waiting): Promise<void>
  /** Answers a question for files with the files themselves. */
  uploadInput(inputId: string, files: readonly NamedFile[], options?: Waiting): Promise<ReplyOf<typeof api.uploadInput>>
  /** Refuses to answer: the step that asks fails with `input.cancelled`. */
  cancelInput(inputId: string, options?: { readonly reason?: string | undefined } & Waiting): Promise<void>
}

const pageSize = 1000

export function inputMethods({ call, page }: Transport): InputMethods {
  const inputPage: InputMethods['inputPage'] = ({ runId, limit, after, ...wait } = {}) =>
    page(api.listInputs, {
      query: { run_id: runId === undefined ? undefined : asRunId(runId), limit, after },
      ...wait,
    })
  return {
    inputPage,
    async inputs(options = {}) {
      const found: PendingInput[] = []
      for (let after: string | undefined; ;) {
        const { items, next } = await inputPage({ ...options, limit: pageSize, after })
        found.push(...items)
        if (next === null) return found
        after = next
      }
    },
    input: (inputId, wait) => call(api.getInput, { params: { id: inputId }, ...wait }),
    answer: async (inputId, answer, wait) => {
      await call(api.answerInput, { params: { id: inputId }, body: { answer }, ...wait })
    },
    uploadInput: (inputId, files, { signal, timeoutMs } = {}) =>
      call(api.uploadInput, {
        params: { id: inputId },
        uploads: files.map(file => ({ ...file, field: 'file', type: 'application/octet-stream' })),
        signal,
        timeoutMs: timeoutMs ?? uploadTimeoutMs,
      }),
    cancelInput: async (inputId, { reason, ...wait } = {}) => {
      await call(api.cancelInput, { params: { id: inputId }, body: reason === undefined ? {} : { reason }, ...wait })
    },
  }
}
