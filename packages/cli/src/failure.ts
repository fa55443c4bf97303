import { AppError } from '@slipway/protocol/errors'
import { PlanProblem } from '@slipway/protocol/plans'
import { CommanderError } from 'commander'
import { z } from 'zod'
import { exitCodes, type ExitCode } from './exit-codes.ts'
import { problemLines } from './problems.ts'
import type { Paint } from './terminal.ts'
import { plain } from './text.ts'

export interface Failure {
  readonly code: ExitCode
  /** Lines for standard error; none when everything was said already. */
  readonly lines: readonly string[]
}

const usageCodes = new Set([
  'input.invalid',
  'input.unknown',
  'agent.unknown',
  'plan.unknown',
  'run.unknown',
  'question.unknown',
  'token.unknown',
  'job.unknown',
  'payload.invalid',
  'schedule.unknown',
])

/** What to say about an error and how the process ends. */
export function describeFailure(error: unknown, paint: Paint): Failure {
  if (error instanceof CommanderError)
    return { code: error.exitCode === 0 ? exitCodes.done : exitCodes.wrongUse, lines: [] }
  if (!(error instanceof AppError)) {
    if (isFileError(error))
      return { code: exitCodes.wrongUse, lines: [`${paint('red', 'Error:')} ${fileMessage(error)}`] }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { code: exitCodes.failed, lines: [`${paint('red', 'Unexpected error:')} ${text}`] }
  }
  return {
    code: exitCodeOf(error),
    lines: [
      `${paint('red', 'Error:')} ${plain(error.message)} ${paint('dim', `[${error.code}]`)}`,
      ...detailLines(error.details, paint),
    ],
  }
}

function exitCodeOf(error: AppError): ExitCode {
  if (error.code === 'server.unreachable') return exitCodes.unreachable
  return usageCodes.has(error.code) ? exitCodes.wrongUse : exitCodes.failed
}

const Problems = z.union([
  z.array(PlanProblem),
  z.looseObject({ problems: z.array(PlanProblem) }).transform(d => d.problems),
])
const Issues = z.array(z.looseObject({ path: z.array(z.union([z.string(), z.number()])), message: z.string() }))

function detailLines(details: unknown, paint: Paint): readonly string[] {
  const problems = Problems.safeParse(details)
  if (problems.success) return problemLines(problems.data, paint)
  const issues = Issues.safeParse(details)
  return issues.success ? issues.data.map(issue => `  ${plain(`${issue.path.join('.')}: ${issue.message}`)}`) : []
}

interface FileError extends Error {
  readonly code: string
  readonly path: string
}

function isFileError(error: unknown): error is FileError {
  return error instanceof Error && 'code' in error && 'path' in error && typeof error.path === 'string'
}

const fileReasons: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  EACCES: 'may not be read or written with your rights',
  EPERM: 'may not be read or written with your rights',
  EISDIR: 'is a folder, but a file is needed',
  ENOTDIR: 'is not a folder',
  ENOSPC: 'does not fit on the disk any more',
}

function fileMessage(error: FileError): string {
  return `${plain(error.path)} ${fileReasons[error.code] ?? `cannot be used (${error.code})`}. [file.${error.code}]`
}
