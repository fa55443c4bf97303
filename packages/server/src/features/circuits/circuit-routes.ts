import {
  deleteCircuit,
  enableCircuit,
  getCircuit,
  getCircuitVersion,
  listCircuits,
  listCircuitVersions,
  pauseCircuit,
  putCircuit,
  rollbackCircuit,
} from '@slipway/protocol/circuits'
import { handle, type Handler } from '#http/handler'
import { page } from '#http/reply'
import type { Circuits } from './circuits.ts'

export function circuitRoutes(circuits: Circuits): Handler[] {
  return [
    handle(listCircuits, ({ identity }) => circuits.list(identity)),
    handle(getCircuit, ({ identity, params }) => circuits.get(identity, params.name)),
    handle(putCircuit, ({ identity, params, body: document, query: { dryRun } }) =>
      circuits.put(identity, params.name, { document, dryRun }),
    ),
    handle(listCircuitVersions, async ({ identity, params, query, url }) => {
      const { versions, next } = await circuits.versions(identity, params.name, query)
      return page(versions, { url, next })
    }),
    handle(getCircuitVersion, ({ identity, params }) => circuits.version(identity, params.name, params.version)),
    handle(rollbackCircuit, ({ identity, params, body }) => circuits.rollback(identity, params.name, body.version)),
    handle(enableCircuit, ({ identity, params }) => circuits.enable(identity, params.name)),
    handle(pauseCircuit, ({ identity, params }) => circuits.pause(identity, params.name)),
    handle(deleteCircuit, ({ identity, params }) => circuits.delete(identity, params.name)),
  ]
}
