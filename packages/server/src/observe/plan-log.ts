import type { Logger } from './log.ts'

export interface DeployedPlan {
  readonly organisation: string
  readonly planId: string
  readonly version: string
  readonly digest: string
  readonly bytes: number
  readonly status: string
}

export function planDeployed(log: Logger, plan: DeployedPlan): void {
  log.info(plan, 'plan deployed')
}

export function planRolledBack(
  log: Logger,
  fields: { readonly organisation: string; readonly planId: string; readonly version: string },
): void {
  log.info(fields, 'plan rolled back')
}

export function planDeleted(
  log: Logger,
  fields: { readonly organisation: string; readonly planId: string; readonly stoppedRuns: number },
): void {
  log.info(fields, 'plan deleted')
}

export function packagesRemoved(log: Logger, fields: { readonly digests: readonly string[] }): void {
  log.info(fields, 'packages removed')
}
