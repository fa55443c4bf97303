import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { once } from 'node:events'
import { packPlan } from '@slipway/engine/plan/pack'
import { AppError } from '@slipway/protocol/errors'
import { Command } from 'commander'
import { readEnvironment } from './environment.ts'
import { describeFailure } from './failure.ts'
import { collectInputs } from './inputs.ts'
import { readPackage } from './package-files.ts'
import { choosePort, exitOf, spawnServer, stopServer, waitUntilReady } from './server-program.ts'
import { openSession, type Session } from './session.ts'
import { endLines, resultLines } from './show-run.ts'
import { createTerminal } from './terminal.ts'
import { watchRun } from './watch.ts'

interface DemoFlags {
  readonly once?: boolean
  readonly temp?: boolean
  readonly port?: string
  readonly plan: string
}

/** `npm run demo`: a server with the example plans, and one of them run to its end. */
async function main(): Promise<void> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => stop.abort(new DOMException('Stopped', 'AbortError')))
  const environment = readEnvironment()
  const terminal = createTerminal({ color: !environment.noColor, quiet: false })
  try {
    process.exitCode = await demo(readFlags(), stop.signal)
  } catch (error) {
    if (stop.signal.aborted) return
    const { code, lines } = describeFailure(error, terminal.paint)
    lines.forEach(terminal.complain)
    process.exitCode = code === 0 ? 0 : 1
  }
}

function readFlags(): DemoFlags {
  return new Command('demo')
    .description('Start a server with the example plans and run one of them to its end.')
    .option('--once', 'stop the server when the run has ended; exit code 0 when it completed, else 1')
    .option('--temp', 'keep everything in a temporary folder instead of ./data')
    .option('--port <port>', 'port to listen on; another one is taken when it is in use')
    .option('--plan <name>', 'example to run', 'document-analysis')
    .parse()
    .opts<DemoFlags>()
}

async function demo(flags: DemoFlags, signal: AbortSignal): Promise<number> {
  const environment = readEnvironment()
  const temporary = flags.temp ? await mkdtemp(join(tmpdir(), 'slipway-demo-')) : null
  const wanted = Number(flags.port ?? environment.variable('SLIPWAY_PORT') ?? 8000)
  const port = await choosePort(wanted)
  const url = `http://127.0.0.1:${port}`
  const log: string[] = []
  const server = spawnServer(
    {
      port: String(port),
      host: '127.0.0.1',
      data: temporary ?? environment.variable('SLIPWAY_DATA_DIR'),
      logLevel: 'warn',
    },
    'pipe',
  )
  for (const stream of [server.stdout, server.stderr])
    stream?.on('data', (chunk: Buffer) => {
      log.push(chunk.toString())
      if (log.length > 100) log.shift()
    })
  try {
    const session = openSession({ environment, signal }, { url, color: true })
    if (port !== wanted) session.terminal.print(`Port ${wanted} is in use, so this takes ${port}.`)
    await waitUntilReady(server, { url, token: environment.token, signal, output: () => log.join('') })
    session.terminal.print(`Slipway is ready at ${url}`)
    const ok = await showExample(session, flags.plan)
    if (flags.once || !ok) return ok ? 0 : 1
    session.terminal.print(['', `The server goes on at ${url} (page), ${url}/docs (API). Ctrl-C stops it.`].join('\n'))
    await Promise.race([exitOf(server), aborted(signal)])
    return 0
  } finally {
    await stopServer(server)
    if (temporary !== null) await rm(temporary, { recursive: true, force: true })
  }
}

async function showExample(session: Session, name: string): Promise<boolean> {
  const { client, terminal, signal } = session
  const folder = await findExamples()
  const examples = (await readdir(folder, { withFileTypes: true })).filter(entry => entry.isDirectory())
  const ids = new Map<string, string>()
  for (const example of examples) {
    const found = await readPackage(join(folder, example.name))
    if (found.type !== 'folder') continue
    const reply = await client.deploy(packPlan(found.files), { replace: true, signal })
    ids.set(example.name, reply.plan_id)
    terminal.print(`Deployed ${reply.plan_id} ${reply.version}`)
  }
  const planId = ids.get(name)
  if (planId === undefined)
    throw new AppError(
      'plan.unknown',
      `There is no example ${name} in ${folder}. There are: ${[...ids.keys()].join(', ')}.`,
    )
  const inputs = await collectInputs(
    { file: join(folder, name, 'demo-inputs.json'), single: [] },
    { readFile: path => readFile(path), readStdin: () => Promise.reject(new Error('unused')) },
  )
  const run = await client.startRun(planId, { inputs, signal })
  terminal.print('')
  const watched = await watchRun(session, run)
  if (watched.type === 'detached') throw signal.reason
  endLines(watched.run, terminal).forEach(terminal.print)
  if (watched.run.status !== 'completed') return false
  terminal.print('')
  resultLines(await client.result(run.run_id, { signal }), terminal).forEach(terminal.print)
  terminal.print(`\nSee it at ${client.url}/runs/${run.run_id}`)
  return true
}

/** The examples' folder, searched upwards from this file. */
async function findExamples(): Promise<string> {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, 'examples', 'plans')
    if (await readdir(candidate).catch(() => null)) return candidate
    if (dirname(folder) === folder)
      throw new AppError('internal', 'The example plans are not part of this installation.')
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}

await main()
