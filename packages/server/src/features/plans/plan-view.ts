import type { LoadedPlan } from '@slipway/engine/plan/manifest'
import { parseJson } from '@slipway/kit/json'
import { PlanId, type DeployReply, type PlanDetails, type PlanProblem, type PlanSummary } from '@slipway/protocol/plans'
import type { PackageFile } from './package-folder.ts'
import type { ListedRow, VersionRow } from './plan-store.ts'

type Summary = Pick<PlanSummary, 'dialect' | 'step_count' | 'inputs' | 'outputs'>
type Details = Pick<PlanDetails, 'default_agent' | 'max_cycles' | 'dialect_source' | 'files' | 'problems'>

/** What a version's row keeps of the plan, so that lists and pages load no package. */
export function summaryText(plan: LoadedPlan): string {
  const summary: Summary = {
    dialect: plan.dialect,
    step_count: plan.inferences.length,
    inputs: Object.fromEntries(
      plan.inputs
        .filter(input => !input.isFunction)
        .map(input => [
          input.name,
          {
            natural_name: input.naturalName,
            type: input.type,
            required: input.required,
            description: input.description,
            has_default: input.hasDefault,
          },
        ]),
    ),
    outputs: Object.fromEntries(
      plan.outputs.map(output => [output.name, { natural_name: output.naturalName, description: output.description }]),
    ),
  }
  return JSON.stringify(summary)
}

export function detailsText(
  plan: LoadedPlan,
  { files, problems }: { readonly files: readonly PackageFile[]; readonly problems: readonly PlanProblem[] },
): string {
  const details: Details = {
    default_agent: plan.defaultAgent,
    max_cycles: plan.maxCycles,
    dialect_source: plan.dialectSource,
    files: [...files],
    problems: [...problems],
  }
  return JSON.stringify(details)
}

export function summaryView(row: ListedRow): PlanSummary {
  return {
    // Written by this server from checked values; reading it back does not check it again.
    ...(parseJson(row.summary) as Summary),
    id: row.plan_id as PlanSummary['id'],
    name: row.name,
    description: row.description,
    version: row.version,
    digest: row.digest as PlanSummary['digest'],
    deployed_at: new Date(row.deployed_at).toISOString(),
  }
}

export function detailsView(
  row: VersionRow,
  versions: readonly Pick<VersionRow, 'version' | 'digest' | 'deployed_at' | 'size_bytes'>[],
): PlanDetails {
  return {
    ...summaryView(row),
    ...(parseJson(row.details) as Details),
    versions: versions.map(other => ({
      version: other.version,
      digest: other.digest as PlanDetails['digest'],
      deployed_at: new Date(other.deployed_at).toISOString(),
      size_bytes: other.size_bytes,
      active: other.version === row.version,
    })),
  }
}

export function deployReply(
  {
    plan,
    digest,
    problems,
  }: { readonly plan: LoadedPlan; readonly digest: DeployReply['digest']; readonly problems: readonly PlanProblem[] },
  status: DeployReply['status'],
): DeployReply {
  return {
    status,
    plan_id: PlanId.parse(plan.id),
    plan_name: plan.name,
    version: plan.version,
    digest,
    problems: [...problems],
  }
}

export function sizeOf(files: readonly PackageFile[]): number {
  return files.reduce((sum, file) => sum + file.size_bytes, 0)
}
