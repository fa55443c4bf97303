import {
  deleteCircuit,
  enableCircuit,
  getCircuit,
  listCircuits,
  pauseCircuit,
  putCircuit,
} from '@slipway/protocol/circuits'
import { handle, type Handler } from '#http/handler'
import type { Circuits } from './circuits.ts'

export function circuitRoutes(circuits: Circuits): Handler[] {
  return [
    handle(listCircuits, ({ identity }) => circuits.list(identity)),
    handle(getCircuit, ({ identity, params }) => circuits.get(identity, params.name)),
    handle(putCircuit, ({ identity, params, body }) => circuits.put(identity, params.name, body)),
    handle(enableCircuit, ({ identity, params }) => circuits.enable(identity, params.name)),
    handle(pauseCircuit, ({ identity, params }) => circuits.pause(identity, params.name)),
    handle(deleteCircuit, ({ identity, params }) => circuits.delete(identity, params.name)),
  ]
}
