import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { packPlan } from '@slipway/engine/plan/pack'
import { parseJson } from '@slipway/kit/json'
import type { PendingInput } from '@slipway/protocol/inputs'
import { demoAnswer } from '@slipway/server/features/models/adapters/demo/demo-answer'
import { examplePlans } from '../testbed/slipway.ts'
import { chainPlan } from '../testbed/small-plans.ts'
import type { Answerer } from './model-world.ts'

type PersonAnswer = string | boolean | readonly string[]

/** A plan with all that a run of it needs from the outside, always the same. */
export interface StormPlan {
  readonly id: string
  readonly package: Uint8Array
  readonly inputs: Readonly<Record<string, unknown>>
  readonly answer: Answerer
  /** What a person answers to the question that a run asks as its `place`-th, from 0. */
  readonly say: (question: PendingInput, place: number) => PersonAnswer
}

export function filesBelow(folder: string): Map<string, Uint8Array> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile())
  return new Map(
    entries.map(entry => {
      const path = join(entry.parentPath, entry.name)
      return [path.slice(folder.length + 1).replaceAll('\\', '/'), readFileSync(path)]
    }),
  )
}

/** The examples that are part of the product, answered by the model that is. */
export function examples(): StormPlan[] {
  return readdirSync(examplePlans).map(id => ({
    id,
    package: packPlan(filesBelow(join(examplePlans, id))),
    inputs: parseJson(readFileSync(join(examplePlans, id, 'demo-inputs.json'), 'utf8')) as Record<string, unknown>,
    answer: (prompt, json) => demoAnswer(prompt, { json }),
    say: ({ type }) => (type === 'confirm' ? true : 'Call them back tomorrow.'),
  }))
}

export const chainSteps = 12

/** One question to a model after the other; what each answers depends on all before. */
export function chain(start = 'start'): StormPlan {
  return {
    id: 'chain',
    package: chainPlan('chain', chainSteps),
    inputs: { c0: start },
    answer: digestAnswer,
    say: () => '',
  }
}

export function digestAnswer(prompt: string): string {
  return JSON.stringify({ result: createHash('sha256').update(prompt).digest('hex').slice(0, 12) })
}
