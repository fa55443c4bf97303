import { healthz, listModels, livez, readyz } from '@slipway/protocol/system'
import type { Models } from '#features/models/models'
import { handle, type Handler } from '#http/handler'
import { withStatus } from '#http/reply'
import { health, readiness, type HealthSources } from './health.ts'

export function systemRoutes(sources: HealthSources): Handler[] {
  return [
    handle(livez, () => ({ status: 'ok' as const })),
    handle(readyz, async () => {
      const state = await readiness(sources)
      return withStatus(state, state.status === 'ready' ? 200 : 503)
    }),
    handle(healthz, ({ identity }) => health(sources, identity)),
  ]
}

export function modelRoutes(models: Models): Handler[] {
  return [handle(listModels, () => [...models.agents()])]
}
