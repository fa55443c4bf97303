import { readFile } from 'node:fs/promises'
import { api } from '@slipway/protocol/api'
import type { AuditEntry } from '@slipway/protocol/access'
import type { PolicyView } from '@slipway/protocol/policies'
import type { Command } from 'commander'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { positive } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { localTime, oneLine, table } from '../text.ts'

export function addPolicies(program: Command, cli: Cli): void {
  const policies = program.command('policies').description('The WebAssembly modules that look at messages of the bus.')
  policies
    .command('list', { isDefault: true })
    .description('List policies; `slipway policies` does the same.')
    .action(
      cli.act(async session => {
        const found = await session.client.call(api.listPolicies)
        return show(session, found, listText(found, session))
      }),
    )
  policies
    .command('put')
    .description('Load a module as a policy, or as a new version of it.')
    .argument('<policy>', 'name of the policy')
    .argument('<file>', 'the module, a .wasm file')
    .requiredOption('--topics <pattern>', 'topics that it looks at, such as *.jobs or genesis.>')
    .option('--inactive', 'keep it, but let it look at nothing yet')
    .action(cli.act(put))
  addSwitches(policies, cli)
  policies
    .command('history')
    .description('Show who did what to policies, newest first.')
    .argument('[policy]', 'name of one policy')
    .option('-n, --limit <n>', 'changes on a page', positive, 20)
    .option('--after <cursor>', 'the page behind this cursor', positive)
    .action(cli.act(history))
}

function addSwitches(policies: Command, cli: Cli): void {
  for (const [name, route, what] of [
    ['activate', api.activatePolicy, 'Let a policy look at messages again.'],
    ['deactivate', api.deactivatePolicy, 'Keep a policy, but let it look at nothing.'],
  ] as const)
    policies
      .command(name)
      .description(what)
      .argument('<policy>', 'name of the policy')
      .action(
        cli.act(async (session, policy: string) => {
          const changed = await session.client.call(route, { params: { name: policy } })
          return show(session, changed, `${policy} is ${stateOf(changed)}.`)
        }),
      )
  policies
    .command('delete')
    .description('Remove a policy.')
    .argument('<policy>', 'name of the policy')
    .action(
      cli.act(async (session, name: string) => {
        const deleted = await session.client.call(api.deletePolicy, { params: { name } })
        return show(session, deleted, `${name} is removed.`)
      }),
    )
}

async function put(
  session: Session,
  name: string,
  file: string,
  { topics, inactive }: { readonly topics: string; readonly inactive?: boolean },
): Promise<ExitCode> {
  const module = (await readFile(file)).toString('base64')
  const body = { topics, module, active: inactive !== true }
  const policy = await session.client.call(api.putPolicy, { params: { name }, body })
  return show(session, policy, `${name} has version ${policy.version} and is ${stateOf(policy)}.`)
}

async function history(
  session: Session,
  policy: string | undefined,
  { limit, after }: { readonly limit: number; readonly after?: number },
): Promise<ExitCode> {
  const { client, terminal } = session
  const page = await client.page(api.listAudit, { query: { kind: 'policy', name: policy, limit, after } })
  if (page.next !== null) terminal.note(`Older ones: slipway policies history --after ${page.next}`)
  return show(session, page, historyText(page.items, session))
}

function show({ json, printJson, terminal }: Session, value: unknown, text: string): ExitCode {
  if (json) printJson(value)
  else terminal.print(text)
  return exitCodes.done
}

function listText(policies: readonly PolicyView[], { terminal }: Session): string {
  if (policies.length === 0) return 'There are no policies. Load one with: slipway policies put <name> <file>'
  const rows = policies.map(policy => [
    policy.name,
    String(policy.version),
    stateOf(policy),
    policy.topics,
    policy.digest.slice(0, 12),
    localTime(policy.changed_at),
    oneLine(policy.changed_by),
  ])
  const heads = ['POLICY', 'VERSION', 'STATE', 'TOPICS', 'DIGEST', 'CHANGED', 'BY']
  return table(heads, rows, { width: terminal.columns() })
}

function historyText(changes: readonly AuditEntry[], { terminal }: Session): string {
  if (changes.length === 0) return 'Nothing was done to policies.'
  const rows = changes.map(({ at, name, change, version, digest, by }) => [
    localTime(at),
    name,
    change,
    String(version ?? ''),
    (digest ?? '').slice(0, 12),
    oneLine(by),
  ])
  return table(['AT', 'POLICY', 'WHAT', 'VERSION', 'DIGEST', 'BY'], rows, { width: terminal.columns() })
}

function stateOf({ active, loaded }: PolicyView): string {
  if (!active) return 'not active'
  return loaded ? 'active' : 'not loaded: it refuses everything'
}
