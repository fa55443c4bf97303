import { api } from '@slipway/protocol/api'
import { parseJson } from '@slipway/kit/json'
import { OperatorStage, type Evidence, type OperatorDetail, type OperatorView } from '@slipway/protocol/operators'
import type { Command } from 'commander'
import { z } from 'zod'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { positive } from '../options.ts'
import { codeFor, type Cli, type Session } from '../session.ts'
import { localTime, oneLine, table } from '../text.ts'

interface ListFlags {
  readonly topic?: string
  readonly limit: number
  readonly after?: string
}

export function addOperators(program: Command, cli: Cli): void {
  const operators = program
    .command('operators')
    .description('List the operators, or show one with what was done to it.')
    .argument('[operator]', 'id of one operator')
    .option('--topic <topic>', 'those that take jobs of this topic alone')
    .option('-n, --limit <n>', 'operators on a page', positive, 100)
    .option('--after <cursor>', 'the page behind this cursor')
    .action(
      cli.act(async (session, id: string | undefined, query: ListFlags) => {
        const { client } = session
        if (id !== undefined) {
          const operator = await client.call(api.getOperator, { params: { id } })
          return show(session, operator, detailLines(operator))
        }
        const found = await client.page(api.listOperators, { query })
        if (found.next !== null) session.terminal.note(`Further ones: slipway operators --after ${found.next}`)
        return show(session, found, [listText(found.items, session)])
      }),
    )
  operators
    .command('drain')
    .description('Let an operator end what it has and leave.')
    .argument('<operator>', 'id of the operator')
    .action(
      cli.act(async (session, id: string) => {
        const operator = await session.client.call(api.drainOperator, { params: { id } })
        return show(session, operator, [`${id} is ${operator.status} and has ${operator.jobs} jobs.`])
      }),
    )
  operators
    .command('quarantine')
    .description('Give an operator no jobs until it is released.')
    .argument('<operator>', 'id of the operator')
    .requiredOption('--reason <text>', 'why; it is kept')
    .action(
      cli.act(async (session, id: string, { reason }: { readonly reason: string }) => {
        const operator = await session.client.call(api.quarantineOperator, { params: { id }, body: { reason } })
        return show(session, operator, [`${id} gets no jobs until: slipway operators release ${id}`])
      }),
    )
  operators
    .command('release')
    .description('End the quarantine of an operator.')
    .argument('<operator>', 'id of the operator')
    .action(
      cli.act(async (session, id: string) => {
        const operator = await session.client.call(api.releaseOperator, { params: { id } })
        return show(session, operator, [`${id} is ${operator.status}.`])
      }),
    )
  operators
    .command('delete')
    .description('Forget an operator that is not connected.')
    .argument('<operator>', 'id of the operator')
    .action(
      cli.act(async (session, id: string) => {
        const deleted = await session.client.call(api.deleteOperator, { params: { id } })
        return show(session, deleted, [`${id} is forgotten.`])
      }),
    )
  addStages(operators, cli)
}

function addStages(operators: Command, cli: Cli): void {
  operators
    .command('check')
    .description('Try an operator at the stage staging with sample jobs; what is found is kept as evidence.')
    .argument('<operator>', 'id of the operator')
    .requiredOption('--topic <topic>', 'topic of the jobs')
    .requiredOption('--schema <schema>', 'schema of their payloads')
    .requiredOption('--sample <json...>', 'payloads of jobs that it has to do')
    .action(
      cli.act(
        async (
          session,
          id: string,
          asked: { readonly topic: string; readonly schema: string; readonly sample: string[] },
        ) => {
          const { topic, schema, sample } = asked
          const samples = sample.map(text => z.json().parse(parseJson(text)))
          const body = { topic, schema, samples }
          const found = await session.client.call(api.checkOperator, { params: { id }, body, timeoutMs: 400_000 })
          show(session, found, found.map(evidenceLine))
          return codeFor(found.every(({ passed }) => passed))
        },
      ),
    )
  operators
    .command('promote')
    .description('Bring an operator to another stage; to production only what passed every check.')
    .argument('<operator>', 'id of the operator')
    .argument('<stage>', 'prototype, staging or production')
    .requiredOption('--reason <text>', 'why; it is kept')
    .action(
      cli.act(async (session, id: string, stage: string, { reason }: { readonly reason: string }) => {
        const body = { stage: OperatorStage.parse(stage), reason }
        const operator = await session.client.call(api.promoteOperator, { params: { id }, body })
        return show(session, operator, [`${id} is at ${operator.stage}.`])
      }),
    )
}

function show({ json, printJson, terminal }: Session, value: unknown, lines: readonly string[]): ExitCode {
  if (json) printJson(value)
  else lines.forEach(terminal.print)
  return exitCodes.done
}

function listText(operators: readonly OperatorView[], { terminal }: Session): string {
  if (operators.length === 0) return 'There are no operators. Make one with: slipway operator new <name>'
  const rows = operators.map(operator => [
    operator.operator_id,
    operator.status,
    operator.stage,
    `${operator.jobs}/${operator.max_parallel_jobs}`,
    operator.topics.join(', '),
    localTime(operator.last_seen_at),
  ])
  return table(['OPERATOR', 'STATUS', 'STAGE', 'JOBS', 'TOPICS', 'LAST SEEN'], rows, { width: terminal.columns() })
}

function detailLines(operator: OperatorDetail): string[] {
  const { quarantine } = operator
  return [
    `${operator.operator_id} (${operator.kind}, ${operator.operator_type} ${oneLine(operator.version)}, ${operator.hardware_profile})`,
    `${operator.status}, ${operator.stage}, ${operator.jobs} of ${operator.max_parallel_jobs} jobs`,
    ...(quarantine
      ? [`In quarantine since ${localTime(quarantine.at)} by ${quarantine.by}: ${oneLine(quarantine.reason)}`]
      : []),
    `Topics  ${operator.topics.join(', ')}`,
    `Schemas ${operator.supported_schemas.join(', ') || 'any'}`,
    ...operator.evidence.map(evidenceLine),
    'History',
    ...operator.history.map(
      ({ at, event, by, reason }) =>
        `  ${localTime(at)} ${event} by ${by}${reason === null ? '' : `: ${oneLine(reason)}`}`,
    ),
  ]
}

function evidenceLine({ check, passed, jobs, duration_ms: ms, at, reason }: Evidence): string {
  const found = passed ? 'passed' : `failed: ${oneLine(reason ?? '')}`
  return `Check ${check} ${found} (${jobs} jobs, ${ms} ms, ${localTime(at)})`
}
