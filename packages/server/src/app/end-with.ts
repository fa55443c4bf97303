import { AppError } from '@slipway/protocol/errors'

/** Says why a program ends, with exit code 2 when its settings are why, else 1. */
export function endWith(error: unknown, what: string): void {
  const isSettings = error instanceof AppError && error.code === 'config.invalid'
  process.stderr.write(isSettings ? `${error.message}\n` : `${what}: ${stackOf(error)}\n`)
  process.exitCode = isSettings ? 2 : 1
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}
