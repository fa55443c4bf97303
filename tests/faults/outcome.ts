import type { Client } from '@slipway/sdk/client'

const signId = /%(\{[a-zA-Z0-9_]+\})?[0-9a-f]{3}\(/g
const time = /\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d+Z/g

/** How a finished run ended, and with what values, without what differs between equal runs. */
export async function outcomeOf(client: Client, runId: string): Promise<string> {
  const { status, error } = await client.run(runId)
  const { final_concepts: finals } = await client.result(runId)
  const values = finals.map(({ name, axes, shape, data }) => ({ name, axes, shape, data }))
  return JSON.stringify({ status, reason: error?.reason ?? null, values })
    .replaceAll(runId, '<run>')
    .replace(signId, '%$1xxx(')
    .replace(time, '<time>')
}
