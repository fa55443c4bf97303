import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { packPlan } from '@slipway/engine/plan/pack'
import { parseJson } from '@slipway/kit/json'
import type { PendingInput } from '@slipway/protocol/inputs'
import type { RunDetails, RunResult, TraceCall } from '@slipway/protocol/runs'
import type { Client } from '@slipway/sdk/client'
import { followRun } from '@slipway/sdk/event-stream'
import { openBed as openServer } from '../tests/testbed/bed.ts'

const plansFolder = join(import.meta.dirname, 'plans')

export async function exampleNames(): Promise<string[]> {
  const entries = await readdir(plansFolder, { withFileTypes: true })
  return entries.filter(entry => entry.isDirectory()).map(entry => entry.name)
}

export function readExample(name: string, file: string): Promise<string> {
  return readFile(join(plansFolder, name, file), 'utf8')
}

/** The files of an example's folder as a package has them. */
export async function examplePackage(name: string): Promise<Map<string, Uint8Array>> {
  const folder = join(plansFolder, name)
  const files = new Map<string, Uint8Array>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    files.set(path.slice(folder.length + 1).replaceAll('\\', '/'), await readFile(path))
  }
  return files
}

export async function demoInputs(name: string): Promise<Record<string, unknown>> {
  return parseJson(await readExample(name, 'demo-inputs.json')) as Record<string, unknown>
}

export interface FinishedRun {
  readonly run: RunDetails
  readonly result: RunResult
  readonly trace: readonly TraceCall[]
  /** The content of the plan's only final concept. */
  readonly answer: unknown
  /** What a person was asked, in order. */
  readonly questions: readonly PendingInput[]
}

export interface ExampleBed extends AsyncDisposable {
  readonly client: Client
  /** Runs a deployed example to its end; `onQuestion` answers what it asks a person. */
  run(name: string, inputs: Record<string, unknown>, options?: RunExample): Promise<FinishedRun>
}

export interface RunExample {
  readonly onQuestion?: (question: PendingInput) => string | Promise<string>
}

export interface OpenBed {
  readonly sandbox?: 'auto' | 'process' | 'wasm'
}

/** A server of its own on a free port with one example deployed, in a folder that goes away with it. */
export async function openExample(name: string, options: OpenBed = {}): Promise<ExampleBed> {
  return openBed(await examplePackage(name), options)
}

/** As `openExample`, for any package. */
export async function openBed(
  files: ReadonlyMap<string, Uint8Array>,
  { sandbox = 'auto' }: OpenBed = {},
): Promise<ExampleBed> {
  const bed = await openServer({ settings: { pythonSandbox: sandbox } })
  const { client } = bed
  await client.deploy(packPlan(files))
  return {
    client,
    run: (plan, inputs, options) => runToEnd(client, { plan, inputs, options }),
    [Symbol.asyncDispose]: () => bed[Symbol.asyncDispose](),
  }
}

async function runToEnd(
  client: Client,
  { plan, inputs, options = {} }: { plan: string; inputs: Record<string, unknown>; options?: RunExample | undefined },
): Promise<FinishedRun> {
  const { run_id: id } = await client.startRun(plan, { inputs })
  const questions: PendingInput[] = []
  for await (const event of followRun(client, id)) {
    if (event.event !== 'user_input:request') continue
    for (const question of await client.inputs({ runId: id })) {
      questions.push(question)
      await client.answer(question.input_id, (await options.onQuestion?.(question)) ?? '')
    }
  }
  const result = await client.result(id)
  const [final] = result.final_concepts
  return {
    run: await client.run(id),
    result,
    trace: (await client.trace(id, { limit: '1000' })).items,
    answer: final?.value,
    questions,
  }
}
