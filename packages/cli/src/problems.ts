import type { Paint } from './terminal.ts'
import { oneLine } from './text.ts'

interface ShownProblem {
  readonly severity: 'error' | 'warning'
  readonly code: string
  readonly path: string
  readonly message: string
  readonly hint: string
}

/** One problem on two lines: what is wrong where, and what to do about it. */
export function problemLines(problems: readonly ShownProblem[], paint: Paint): string[] {
  return problems.flatMap(({ severity, code, path, message, hint }) => [
    `  ${severity === 'error' ? paint('red', 'error  ') : paint('yellow', 'warning')} ${paint('bold', oneLine(path))}: ${oneLine(message)} ${paint('dim', `[${oneLine(code)}]`)}`,
    ...(hint === '' ? [] : [`          ${paint('dim', '→')} ${oneLine(hint)}`]),
  ])
}

/** `2 errors and 1 warning`. */
export function countProblems(problems: readonly Pick<ShownProblem, 'severity'>[]): string {
  const count = (severity: string, name: string): string => {
    const found = problems.filter(problem => problem.severity === severity).length
    return `${found} ${name}${found === 1 ? '' : 's'}`
  }
  return `${count('error', 'error')} and ${count('warning', 'warning')}`
}
