import { readFile } from 'node:fs/promises'
import { api } from '@slipway/protocol/api'
import { CircuitDocument, type CircuitVersion, type CircuitView } from '@slipway/protocol/circuits'
import { AppError } from '@slipway/protocol/errors'
import type { Command } from 'commander'
import { parseDocument, stringify } from 'yaml'
import { exitCodes } from '../exit-codes.ts'
import { positive } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { localTime, oneLine, table } from '../text.ts'

export function addCircuits(program: Command, cli: Cli): void {
  const circuits = program
    .command('circuits')
    .description('List the circuits, or show one with its edges.')
    .argument('[circuit]', 'name of one circuit')
    .action(
      cli.act(async (session, name: string | undefined) => {
        const { client, json, printJson, terminal } = session
        const found = await (name === undefined
          ? client.call(api.listCircuits)
          : client.call(api.getCircuit, { params: { name } }))
        if (json) printJson(found)
        else if (Array.isArray(found)) terminal.print(listText(found, session))
        else detailLines(found).forEach(terminal.print)
        return exitCodes.done
      }),
    )
  circuits
    .command('apply')
    .description('Declare a circuit as a YAML or JSON file has it, or change it; a new one is paused.')
    .argument('<file>', 'the file')
    .option('--check', 'only say whether it could be declared')
    .option('--enable', 'hand messages on at once')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, file: string, { enable, check }: ApplyFlags) => {
        if (enable === true && check === true)
          throw new AppError('input.invalid', '--check changes nothing, so that there is nothing to --enable.')
        const document = await readCircuit(file)
        const params = { name: document.circuit }
        const query = { dryRun: check === true ? 'true' : 'false' }
        let circuit = await client.call(api.putCircuit, { params, query, body: document })
        if (enable === true) circuit = await client.call(api.enableCircuit, { params })
        if (json) printJson(circuit)
        else if (check === true)
          terminal.print(`${circuit.circuit} is valid and would have version ${circuit.version}.`)
        else terminal.print(`${circuit.circuit} has version ${circuit.version} and is ${circuit.state}.`)
        return exitCodes.done
      }),
    )
  addSwitches(circuits, cli)
  addVersions(circuits, cli)
}

interface ApplyFlags {
  readonly enable?: boolean
  readonly check?: boolean
}

function addVersions(circuits: Command, cli: Cli): void {
  circuits
    .command('versions')
    .description('List what a circuit was, newest first, or show one version of it as YAML.')
    .argument('<circuit>', 'name of the circuit')
    .argument('[version]', 'number of one version', positive)
    .option('-n, --limit <n>', 'versions on a page', positive, 20)
    .option('--after <cursor>', 'the page behind this cursor', positive)
    .action(
      cli.act(
        async ({ client, terminal, json, printJson }, name: string, version: number | undefined, query: Paging) => {
          if (version !== undefined) {
            const found = await client.call(api.getCircuitVersion, { params: { name, version } })
            if (json) printJson(found)
            else terminal.print(stringify(found.document).trimEnd())
            return exitCodes.done
          }
          const page = await client.page(api.listCircuitVersions, { params: { name }, query })
          if (json) printJson(page)
          else terminal.print(versionText(page.items, terminal.columns()))
          if (page.next !== null) terminal.note(`Older ones: slipway circuits versions ${name} --after ${page.next}`)
          return exitCodes.done
        },
      ),
    )
  circuits
    .command('rollback')
    .description('Put an earlier version in force again, as a new version.')
    .argument('<circuit>', 'name of the circuit')
    .argument('<version>', 'number of the version', positive)
    .action(
      cli.act(async ({ client, terminal, json, printJson }, name: string, version: number) => {
        const circuit = await client.call(api.rollbackCircuit, { params: { name }, body: { version } })
        if (json) printJson(circuit)
        else terminal.print(`${name} has version ${circuit.version}, which is what version ${version} was.`)
        return exitCodes.done
      }),
    )
}

interface Paging {
  readonly limit: number
  readonly after?: number
}

function versionText(versions: readonly CircuitVersion[], width: number): string {
  const rows = versions.map(({ version, restored, made_at: at, made_by: by }) => [
    String(version),
    localTime(at),
    oneLine(by),
    restored === null ? '' : `what ${restored} was`,
  ])
  return table(['VERSION', 'MADE', 'BY', ''], rows, { width })
}

function addSwitches(circuits: Command, cli: Cli): void {
  for (const [name, route, what] of [
    ['enable', api.enableCircuit, 'Hand messages on, from where it was paused.'],
    ['pause', api.pauseCircuit, 'Hand nothing on; messages wait.'],
  ] as const)
    circuits
      .command(name)
      .description(what)
      .argument('<circuit>', 'name of the circuit')
      .action(
        cli.act(async ({ client, terminal, json, printJson }, circuit: string) => {
          const changed = await client.call(route, { params: { name: circuit } })
          if (json) printJson(changed)
          else terminal.print(`${circuit} is ${changed.state}.`)
          return exitCodes.done
        }),
      )
  circuits
    .command('delete')
    .description('Remove a circuit.')
    .argument('<circuit>', 'name of the circuit')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, name: string) => {
        const deleted = await client.call(api.deleteCircuit, { params: { name } })
        if (json) printJson(deleted)
        else terminal.print(`${name} is removed.`)
        return exitCodes.done
      }),
    )
}

async function readCircuit(file: string): Promise<CircuitDocument> {
  const document = parseDocument(await readFile(file, 'utf8'))
  const [problem] = document.errors
  if (problem) throw new AppError('input.invalid', `${file} is not valid YAML: ${problem.message}`)
  const parsed = CircuitDocument.safeParse(document.toJS({ maxAliasCount: 100 }))
  if (parsed.success) return parsed.data
  const lines = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the file'}: ${message}`)
  throw new AppError('input.invalid', `${file} is no circuit: ${lines.join('; ')}`)
}

function listText(circuits: readonly CircuitView[], { terminal }: Session): string {
  if (circuits.length === 0) return 'There are no circuits. Declare one with: slipway circuits apply <file>'
  const rows = circuits.map(({ circuit, version, state, counts, last_problem: problem }) => [
    circuit,
    String(version),
    state,
    String(counts.handed_on),
    String(counts.failed + counts.cut),
    oneLine(problem ?? ''),
  ])
  const heads = ['CIRCUIT', 'VERSION', 'STATE', 'HANDED ON', 'FAILED', 'LAST PROBLEM']
  return table(heads, rows, { width: terminal.columns() })
}

function detailLines({ circuit, version, state, document, counts, last_problem: problem }: CircuitView): string[] {
  return [
    `${circuit} version ${version}, ${state}`,
    ...document.edges.map(
      ({ from, to, when }) => `  ${from} → ${to}${when === undefined ? '' : ` when ${oneLine(when)}`}`,
    ),
    `${counts.handed_on} handed on, ${counts.held_back} held back, ${counts.failed} failed, ${counts.cut} cut`,
    ...(problem === null ? [] : [`Last problem: ${oneLine(problem)}`]),
  ]
}
