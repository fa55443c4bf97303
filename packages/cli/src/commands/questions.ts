import { basename } from 'node:path'
import { AppError } from '@slipway/protocol/errors'
import type { PendingInput } from '@slipway/protocol/inputs'
import { RunId } from '@slipway/protocol/runs'
import type { Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { fileBlob } from '../file-blob.ts'
import { collect } from '../options.ts'
import { questionLines, readAnswer } from '../questions.ts'
import type { Cli, Session } from '../session.ts'

export function addInputs(program: Command, cli: Cli): void {
  const inputs = program
    .command('inputs')
    .description('List the questions that runs have put to a person.')
    .argument('[run]', 'only of this run')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, runId: string | undefined) => {
        const questions = await client.inputs({ runId })
        if (json) printJson(questions)
        else if (questions.length === 0) terminal.print('No run waits for an answer.')
        else questions.flatMap(questionLines).forEach(terminal.print)
        return exitCodes.done
      }),
    )
  inputs
    .command('cancel')
    .description('Refuse to answer a question: the step that asks fails.')
    .argument('<input>', 'id of the question, or of a run that has one question')
    .option('--reason <text>', 'why; it is kept with the run')
    .action(
      cli.act(async (session, id: string, { reason }: { readonly reason?: string }) => {
        const inputId = (await openQuestion(session, id))?.input_id ?? id
        await session.client.cancelInput(inputId, { reason })
        if (session.json) session.printJson({ status: 'cancelled', input_id: inputId })
        else session.terminal.print('Cancelled. The step that asked fails.')
        return exitCodes.done
      }),
    )
}

interface AnswerFlags {
  readonly file: readonly string[]
}

export function addAnswer(program: Command, cli: Cli): void {
  program
    .command('answer')
    .description('Answer a question of a run, with words or with files.')
    .argument('<input>', 'id of the question, or of a run that has one question')
    .argument('[answer]', 'text, yes or no, or paths with commas between them')
    .option('--file <path>', 'send this file as the answer; may be given several times', collect, [])
    .action(cli.act(answer))
}

async function answer(session: Session, id: string, text: string | undefined, flags: AnswerFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson } = session
  if ((text === undefined) === (flags.file.length === 0))
    throw new AppError('input.invalid', 'Give an answer, or files with --file.')
  const question = await openQuestion(session, id)
  const inputId = question?.input_id ?? id
  if (text === undefined) {
    const files = flags.file.map(async path => ({ name: basename(path), content: await fileBlob(path) }))
    const reply = await client.uploadInput(inputId, await Promise.all(files))
    if (json) printJson(reply)
    else terminal.print(`Answered with ${reply.paths.join(', ')}.`)
    return exitCodes.done
  }
  const said = question ? readAnswer(question.type, text) : text
  if (said === null) throw new AppError('input.invalid', 'This question is answered with yes or no.')
  await client.answer(inputId, said)
  if (json) printJson({ status: 'answered', input_id: inputId })
  else terminal.print('Answered.')
  return exitCodes.done
}

/** The open question with this id, or the only one of the run with this id. */
async function openQuestion({ client, signal }: Session, id: string): Promise<PendingInput | undefined> {
  const named = await client.input(id, { signal }).catch(unlessUnknown)
  if (named !== null || !RunId.safeParse(id).success) return named ?? undefined
  const found = await client.inputs({ runId: id, signal })
  if (found.length > 1)
    throw new AppError('input.invalid', `${id} has ${found.length} open questions. Name one: slipway inputs ${id}.`)
  return found[0]
}

function unlessUnknown(error: unknown): null {
  if (error instanceof AppError && error.code === 'question.unknown') return null
  throw error
}
