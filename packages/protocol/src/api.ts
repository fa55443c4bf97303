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
  pauseRun,
  resumeRun,
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
  pauseRun,
  resumeRun,
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
