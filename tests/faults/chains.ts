import { createClient, type Client } from '@slipway/sdk/client'
import type { RunEvent } from '@slipway/protocol/events'
import { expect } from 'vitest'
import { chain, chainSteps, digestAnswer } from './storm-plans.ts'
import type { ModelWorld } from './model-world.ts'
import { watchRun, type Watcher } from './watcher.ts'

/** A chain of questions that is under way. */
export interface StartedChain {
  readonly id: string
  readonly slot: number
  readonly start: string
  readonly watcher: Watcher
}

/** Starts a chain at `client`'s server; whoever watches it does so at `watchedAt`. */
export async function startChain(
  { client, world, signal, watchedAt = client.url }: ChainPlace,
  start: string,
  limits: { readonly timeout_seconds?: number } = {},
): Promise<StartedChain> {
  const slot = world.takeSlot(digestAnswer)
  const { run_id: id } = await client.startRun('chain', {
    inputs: { c0: start },
    agent: world.agentOf(slot),
    ...limits,
  })
  const watcher = watchRun(createClient({ url: watchedAt }), id, { by: 'socket', signal })
  return { id, slot, start, watcher }
}

export interface ChainPlace {
  readonly client: Client
  readonly world: ModelWorld
  readonly signal: AbortSignal
  readonly watchedAt?: string
}

export async function deployChain(client: Client): Promise<void> {
  await client.deploy(chain().package)
}

/** Asked so far on behalf of the run. */
export function askedBy(world: ModelWorld, { slot }: StartedChain): number {
  return world.asked.filter(asked => asked.slot === slot).length
}

/** That the run ended with what its start leads to, and was told from its first to its last event, each once. */
export async function expectWhole(client: Client, { id, start, watcher }: StartedChain): Promise<readonly RunEvent[]> {
  await watcher.done
  expect(await client.run(id)).toMatchObject({ status: 'completed', error: null })
  expect((await client.result(id)).final_concepts[0]?.value).toBe(chainEnd(start))
  expect(watcher.seen.map(({ seq }) => seq)).toEqual(watcher.seen.map((_, index) => index + 1))
  const ended = watcher.seen.filter(({ event }) => event === 'inference:completed')
  expect(ended).toHaveLength(chainSteps)
  return watcher.seen
}

function chainEnd(start: string): string {
  let value = start
  for (let step = 1; step <= chainSteps; step++)
    value = (JSON.parse(digestAnswer(`Step ${step} of ${value}\n`)) as { readonly result: string }).result
  return value
}
