import { route } from '@slipway/protocol/route'
import { z } from 'zod'
import { assetFolder, assetRoute } from './assets.ts'
import { handle, type Handler } from './handler.ts'
import { textReply } from './reply.ts'

const openApi = route({
  method: 'GET',
  path: '/openapi.json',
  scope: 'any',
  summary: 'This API as an OpenAPI 3.1 document.',
  tag: 'system',
  reply: z.unknown(),
  errors: [],
})

/** The description of the API and a page that shows it; both come from the contract and need no other site. */
export function openApiRoutes(version: string): Handler[] {
  let text: Promise<string> | null = null
  return [
    handle(openApi, async () => {
      // Made when somebody asks: it takes longer than the rest of the start.
      text ??= import('./openapi.ts').then(({ openApiDocument }) => JSON.stringify(openApiDocument(version)))
      return textReply(await text, 'application/json; charset=utf-8')
    }),
    assetRoute(['/docs'], new URL('./docs/index.html', import.meta.url)),
    assetFolder('/docs', new URL('./docs/', import.meta.url)),
  ]
}
