import { Command, type Option } from 'commander'
import packageFile from '../package.json' with { type: 'json' }
import { addRunTo, addStep } from './commands/advance.ts'
import { addBreak } from './commands/breakpoints.ts'
import { addModify, addOverride, addRerun } from './commands/change.ts'
import { addCheck } from './commands/check.ts'
import { addCheckpoints, addFork } from './commands/checkpoints.ts'
import { addCircuits } from './commands/circuits.ts'
import { addCommands } from './commands/commands.ts'
import { addCompile } from './commands/compile.ts'
import { addConfig } from './commands/config.ts'
import { addDeadLetters } from './commands/dead-letters.ts'
import { addDeploy } from './commands/deploy.ts'
import { addDiff } from './commands/diff.ts'
import { addDoctor } from './commands/doctor.ts'
import { addInspect } from './commands/inspect.ts'
import { addJobs } from './commands/jobs.ts'
import { addLogs } from './commands/logs.ts'
import { addMigrate } from './commands/migrate.ts'
import { addOperator } from './commands/operator-new.ts'
import { addOperators } from './commands/operators.ts'
import { addPack } from './commands/pack.ts'
import { addPlans } from './commands/plans.ts'
import { addPolicies } from './commands/policies.ts'
import { addAnswer, addInputs } from './commands/questions.ts'
import { addResult } from './commands/result.ts'
import { addRun } from './commands/run.ts'
import { addRuns } from './commands/runs.ts'
import { addPause, addResume } from './commands/pause.ts'
import { addSchedules } from './commands/schedules.ts'
import { addSteps } from './commands/steps.ts'
import { addStop } from './commands/stop.ts'
import { addToken } from './commands/token.ts'
import { addRollback, addUndeploy } from './commands/undeploy.ts'
import { addUp } from './commands/up.ts'
import { addWatch } from './commands/watch.ts'
import type { Cli } from './session.ts'

/** All commands, in the order in which `slipway --help` lists them. */
const commands = [
  addUp,
  addMigrate,
  addDeploy,
  addPlans,
  addRollback,
  addUndeploy,
  addRun,
  addRuns,
  addWatch,
  addResult,
  addLogs,
  addPause,
  addResume,
  addStop,
  addInputs,
  addAnswer,
  addCheckpoints,
  addFork,
  addDiff,
  addBreak,
  addStep,
  addRunTo,
  addSteps,
  addInspect,
  addOverride,
  addRerun,
  addModify,
  addCommands,
  addJobs,
  addDeadLetters,
  addSchedules,
  addOperators,
  addOperator,
  addCircuits,
  addPolicies,
  addCheck,
  addCompile,
  addPack,
  addToken,
  addConfig,
  addDoctor,
]

export function createProgram(cli: Cli): Command {
  const program = new Command('slipway')
    .description('Takes AI plans from a folder to production.')
    .version(packageFile.version, '--version', 'print the version')
    .option('--url <url>', 'address of the server (SLIPWAY_URL, else http://127.0.0.1:8000)')
    .option('--token <token>', 'bearer token (SLIPWAY_API_TOKEN)')
    .option('--json', 'print data as JSON')
    .option('-q, --quiet', 'print data and errors only')
    .option('--no-color', 'no colours (NO_COLOR)')
    // Of the whole program only: the options of `runs` are not those of `runs prune`.
    .configureHelp({ showGlobalOptions: true, visibleGlobalOptions })
    .showHelpAfterError('(Add --help for the ways to use this.)')
    .exitOverride()
  for (const add of commands) add(program, cli)
  return program
}

/** The options of the whole program that every command takes, below those of the command. */
function visibleGlobalOptions(of: Command): Option[] {
  let root = of
  while (root.parent) root = root.parent
  return root === of ? [] : root.options.filter(({ long }) => long !== '--version')
}
