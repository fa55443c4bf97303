import { basename } from 'node:path'
import { packPlan } from '@slipway/engine/plan/pack'
import type { DeployReply } from '@slipway/protocol/plans'
import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import { readPackage } from '../package-files.ts'
import { problemLines } from '../problems.ts'
import type { Cli } from '../session.ts'
import { oneLine } from '../text.ts'

interface DeployFlags {
  readonly dryRun?: boolean
  readonly replace?: boolean
}

export function addDeploy(program: Command, cli: Cli): void {
  program
    .command('deploy')
    .description('Deploy a plan: a folder, which is packed first, or a package.zip.')
    .argument('<package>', 'folder or zip file')
    .option('--dry-run', 'only check it; nothing is stored')
    .option('--replace', 'take the place of a version that is deployed with other content')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, path: string, { dryRun, replace }: DeployFlags) => {
        const found = await readPackage(path)
        const bytes = found.type === 'archive' ? found.bytes : packPlan(found.files)
        const reply = await client.deploy(bytes, { dryRun, replace })
        if (json) printJson(reply)
        else {
          terminal.print(sentence(reply, basename(path)))
          problemLines(reply.problems, terminal.paint).forEach(terminal.print)
          if (reply.status !== 'valid') terminal.note(`Start it with: slipway run ${oneLine(reply.plan_id)} --watch`)
        }
        return exitCodes.done
      }),
    )
}

function sentence(reply: DeployReply, name: string): string {
  const plan = oneLine(`${reply.plan_id} ${reply.version}`)
  const digest = reply.digest.slice(0, 19)
  if (reply.status === 'valid') return `${name} is valid: ${plan} (${digest}). Nothing was stored.`
  return reply.status === 'unchanged' ? `${plan} (${digest}) was deployed already.` : `Deployed ${plan} (${digest}).`
}
