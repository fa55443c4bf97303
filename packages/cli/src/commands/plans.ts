import type { PlanSummary } from '@slipway/protocol/plans'
import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import type { Cli } from '../session.ts'
import { localTime, oneLine, table } from '../text.ts'

export function addPlans(program: Command, cli: Cli): void {
  program
    .command('plans')
    .description('List the deployed plans, or show one with its inputs.')
    .argument('[plan]', 'id of one plan')
    .action(
      cli.act(async ({ client, terminal, json, printJson }, id: string | undefined) => {
        if (id !== undefined) {
          const plan = await client.plan(id)
          if (json) printJson(plan)
          else detailLines(plan).forEach(terminal.print)
          return exitCodes.done
        }
        const plans: PlanSummary[] = []
        for (let after: string | undefined; ;) {
          const page = await client.plans({ after, limit: 500 })
          plans.push(...page.items)
          if (page.next === null) break
          after = page.next
        }
        if (json) printJson(plans)
        else if (plans.length === 0)
          terminal.print('No plans are deployed. Deploy one with: slipway deploy <folder|zip>')
        else
          terminal.print(
            table(['PLAN', 'VERSION', 'STEPS', 'INPUTS'], plans.map(planRow), { width: terminal.columns() }),
          )
        return exitCodes.done
      }),
    )
}

function planRow(plan: PlanSummary): string[] {
  return [plan.id, plan.version, String(plan.step_count), inputNames(plan).join(', ')]
}

/** Natural names; what may be left out stands in brackets. */
function inputNames(plan: PlanSummary): string[] {
  return Object.entries(plan.inputs).map(([name, input]) => {
    const shown = input.natural_name || name
    return input.required && !input.has_default ? shown : `[${shown}]`
  })
}

function detailLines(plan: PlanSummary): string[] {
  const described = (text: string): string => (text === '' ? '' : `: ${oneLine(text)}`)
  return [
    `${oneLine(plan.name)} ${oneLine(plan.version)} (${plan.digest.slice(0, 19)}, dialect ${plan.dialect}, ${plan.step_count} steps)`,
    ...(plan.description === '' ? [] : [oneLine(plan.description)]),
    `Deployed ${localTime(plan.deployed_at)}`,
    'Inputs',
    ...Object.entries(plan.inputs).map(([name, input]) => {
      const need = input.required && !input.has_default ? 'required' : 'optional'
      return `  ${oneLine(input.natural_name || name)} = ${oneLine(name)} (${oneLine(input.type)}, ${need})${described(input.description)}`
    }),
    'Outputs',
    ...Object.entries(plan.outputs).map(([name, output]) => `  ${oneLine(name)}${described(output.description)}`),
  ]
}
