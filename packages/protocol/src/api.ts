import { streamRun } from './events.ts'
import { deletePlan, deployPlan, getPlan, getPlanFile, getPlanGraph, listPlans, rollbackPlan } from './plans.ts'
import {
  answerInput,
  getRun,
  getRunFile,
  getRunResult,
  getRunTrace,
  listInputs,
  listRuns,
  startRun,
  stopRun,
} from './runs.ts'
import { healthz, listModels, livez, readyz } from './system.ts'

/** Every HTTP route of the server. */
export const api = {
  deployPlan,
  listPlans,
  getPlan,
  getPlanGraph,
  getPlanFile,
  rollbackPlan,
  deletePlan,
  startRun,
  listRuns,
  getRun,
  getRunResult,
  stopRun,
  getRunTrace,
  getRunFile,
  listInputs,
  answerInput,
  streamRun,
  listModels,
  livez,
  readyz,
  healthz,
} as const
