import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdtemp, rmdir } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '@slipway/protocol/errors'
import { settings } from '@slipway/protocol/settings'
import { z } from 'zod'
import { isPortFree } from './server-program.ts'
import type { Session } from './session.ts'
import { readSettings, readYaml, type ReadSettings } from './settings.ts'

export interface Finding {
  readonly name: string
  /** A `note` costs nothing but a possibility; a `problem` keeps a server from working. */
  readonly state: 'ok' | 'note' | 'problem'
  readonly says: string
}

/** Looks at everything a server needs. Nothing is changed. */
export async function examine(session: Session, data?: string): Promise<readonly Finding[]> {
  const config = await readSettings(session.environment, data)
  const server = await serverFinding(session)
  return [
    nodeFinding(process.versions.node),
    ...config.problems.map(({ name, source, message }) => problem('setting', `${name} from ${source}: ${message}`)),
    await dataFinding(config.dataDir),
    await portFinding(config, server.state === 'ok'),
    ...(await sandboxFindings()),
    ...(await agentFindings(session, config.dataDir)),
    server,
  ]
}

export function nodeFinding(version: string): Finding {
  const [major = 0] = version.split('.').map(Number)
  return major >= 24
    ? ok('node', `${version} runs Slipway`)
    : problem(
        'node',
        `${version} is too old to run the server; \`npm install\` brings a newer one, start it by \`npm run\``,
      )
}

async function dataFinding(folder: string): Promise<Finding> {
  const path = resolve(folder)
  let existing = path
  while (!(await can(existing, constants.F_OK)) && dirname(existing) !== existing) existing = dirname(existing)
  try {
    // Rights alone do not tell whether a disk is mounted read-only or full; writing does.
    await rmdir(await mkdtemp(join(existing, '.slipway-doctor-')))
  } catch (error) {
    return problem('data folder', `${path} cannot be written to (${codeOf(error)}); choose another with --data`)
  }
  return ok('data folder', existing === path ? `${path} can be written to` : `${path} will be made`)
}

async function portFinding({ resolved }: ReadSettings, answers: boolean): Promise<Finding> {
  const value = (name: string): unknown => resolved.find(setting => setting.name === name)?.value
  const [port, address] = [Number(value('port') ?? 8000), host(value('host'))]
  if (await isPortFree(port, address)) return ok('port', `${port} is free`)
  return answers
    ? ok('port', `${port} is in use by the server below`)
    : note('port', `${port} is taken; start with another: slipway up --port <port>`)
}

function host(value: unknown): string {
  return typeof value === 'string' ? value : settings.host.fallback
}

const run = promisify(execFile)

async function sandboxFindings(): Promise<Finding[]> {
  const python = await output('python3', ['--version'])
  const bwrap = await output('bwrap', ['--version'])
  const jail = ['--unshare-all', '--die-with-parent', '--ro-bind', '/', '/', '--dev', '/dev', 'true']
  const namespaces = bwrap === null ? null : await output('bwrap', jail)
  const wasm = 'Python of plans runs in WebAssembly instead, which works but is slower'
  return [
    python === null ? note('python3', `is not installed; ${wasm}`) : ok('python3', python),
    bwrap === null ? note('bubblewrap', `is not installed; ${wasm}`) : ok('bubblewrap', bwrap),
    ...(bwrap === null
      ? []
      : [
          namespaces === null
            ? note('namespaces', `this machine does not let bubblewrap make them; ${wasm}`)
            : ok('namespaces', 'can be made'),
        ]),
  ]
}

const Agents = z.looseObject({
  agents: z.record(z.string(), z.looseObject({ api_key_env: z.string().nullish() })).nullish(),
})

async function agentFindings({ environment }: Session, dataDir: string): Promise<Finding[]> {
  const path = join(dataDir, 'config', 'agents.yaml')
  const content = await readYaml(path)
  if (content === undefined) return [ok('agents', 'no config/agents.yaml; the demo model answers, offline')]
  const read = Agents.safeParse(content)
  if (!read.success) return [problem('agents', `${path} does not have the form "agents: {name: {provider, model}}"`)]
  return Object.entries(read.data.agents ?? {}).map(([name, { api_key_env: variable }]) => {
    if (variable == null) return ok(`agent ${name}`, 'needs no key')
    return environment.variable(variable) === undefined
      ? note(`agent ${name}`, `its key variable ${variable} is not set here`)
      : ok(`agent ${name}`, `${variable} is set`)
  })
}

async function serverFinding({ client }: Session): Promise<Finding> {
  try {
    const { version, status, sandbox } = await client.health({ timeoutMs: 5_000 })
    const says = `${client.url} answers: version ${version}, ${status}, Python sandbox ${sandbox}`
    return status === 'ok' ? ok('server', says) : note('server', says)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    const state = error.code === 'server.unreachable' ? note : problem
    return state('server', `${error.message} [${error.code}]`)
  }
}

async function can(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  )
}

/** First line that a program writes; null when it cannot be run or fails. */
async function output(program: string, args: readonly string[]): Promise<string | null> {
  try {
    const { stdout, stderr } = await run(program, [...args], { timeout: 10_000 })
    return (stdout || stderr).split('\n')[0] ?? ''
  } catch {
    return null
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}

function ok(name: string, says: string): Finding {
  return { name, state: 'ok', says }
}
function note(name: string, says: string): Finding {
  return { name, state: 'note', says }
}
function problem(name: string, says: string): Finding {
  return { name, state: 'problem', says }
}
