import { createTerminal } from './terminal.ts'
import { readEnvironment } from './environment.ts'
import { describeFailure } from './failure.ts'
import { createProgram } from './program.ts'
import { createCli } from './session.ts'

/** The command `slipway`. */
async function main(): Promise<void> {
  const environment = readEnvironment()
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      // The first asks; whoever asks again means it.
      if (stop.signal.aborted) process.exit(130)
      stop.abort(new DOMException('Interrupted', 'AbortError'))
    })
  // `slipway runs | head` closes our output early, which is no error.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1)
  })
  const finish = (code: number): void => {
    process.exitCode = code
  }
  const program = createProgram(createCli({ environment, signal: stop.signal, finish }))
  try {
    await program.parseAsync()
  } catch (error) {
    if (stop.signal.aborted) return finish(130)
    const terminal = createTerminal({ color: !environment.noColor, quiet: false })
    const { code, lines } = describeFailure(error, terminal.paint)
    lines.forEach(terminal.complain)
    finish(code)
  }
}

await main()
