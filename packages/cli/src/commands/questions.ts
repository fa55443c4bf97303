import { AppError } from '@slipway/protocol/errors'
import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import { questionLines, readAnswer } from '../questions.ts'
import type { Cli } from '../session.ts'

export function addInputs(program: Command, cli: Cli): void {
  program
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
}

export function addAnswer(program: Command, cli: Cli): void {
  program
    .command('answer')
    .description('Answer a question of a run.')
    .argument('<input>', 'id of the question, or of a run that has one question')
    .argument('<answer>', 'text, yes or no, or paths with commas between them')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string, text: string) => {
        const open = await client.inputs()
        const found = open.filter(question => question.input_id === id || question.run_id === id)
        if (found.length > 1)
          throw new AppError(
            'input.unknown',
            `${id} has ${found.length} open questions. Name one: slipway inputs ${id}.`,
          )
        const question = found[0]
        const answer = question ? readAnswer(question.type, text) : text
        if (answer === null) throw new AppError('input.invalid', 'This question is answered with yes or no.')
        await client.answer(question?.input_id ?? id, answer)
        if (json) printJson({ status: 'answered', input_id: question?.input_id ?? id })
        else terminal.print('Answered.')
        return exitCodes.done
      }),
    )
}
