import { builtInParadigmNames } from '@slipway/engine/paradigm/built-in/paradigms'
import { checkPlan } from '@slipway/engine/plan/check'
import type { PlanFiles } from '@slipway/engine/plan/files'
import { loadPlan, type LoadResult } from '@slipway/engine/plan/manifest'
import { hasErrors } from '@slipway/engine/plan/problems'
import type { Command } from 'commander'
import { packageFiles } from '../package-files.ts'
import { countProblems, problemLines } from '../problems.ts'
import { codeFor, type Cli } from '../session.ts'
import { oneLine } from '../text.ts'

export function addCheck(program: Command, cli: Cli): void {
  program
    .command('check')
    .description('Find everything that is wrong with a plan, without a server.')
    .argument('<package>', 'folder or zip file')
    .action(
      cli.act(async ({ terminal, json, printJson }, path: string) => {
        const { loaded, problems } = checkFiles(await packageFiles(path))
        const ok = !hasErrors(problems)
        if (json) printJson({ valid: ok, plan: summary(loaded), problems })
        else {
          const name = loaded.ok ? `${oneLine(loaded.plan.name)} ${oneLine(loaded.plan.version)}` : path
          const steps = loaded.ok ? `, ${loaded.plan.inferences.length} steps, dialect ${loaded.plan.dialect}` : ''
          terminal.print(`${name}: ${countProblems(problems)}${steps}`)
          problemLines(problems, terminal.paint).forEach(terminal.print)
        }
        return codeFor(ok)
      }),
    )
}

function checkFiles(files: PlanFiles): { loaded: LoadResult; problems: LoadResult['problems'] } {
  const loaded = loadPlan(files)
  const found = loaded.ok ? checkPlan(loaded.plan, { builtInParadigms: new Set(builtInParadigmNames) }) : []
  return { loaded, problems: [...loaded.problems, ...found] }
}

function summary(loaded: LoadResult): object | null {
  if (!loaded.ok) return null
  const { id, name, version, dialect, inferences } = loaded.plan
  return { id, name, version, dialect, step_count: inferences.length }
}
