import { readFileSync } from 'node:fs'
import { api } from '@slipway/protocol/api'
import { describe, expect, test } from 'vitest'
import { openApiDocument } from './openapi.ts'
import { openApiRoutes } from './openapi-routes.ts'
import { send, testListener } from './testing.ts'

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: object }>>>>
}

describe('the description of the API', () => {
  test('[HTTP-20] every route of the contract is in it, under every path', () => {
    const { paths } = openApiDocument('1') as unknown as Document
    for (const declared of Object.values(api)) {
      const aliases = 'aliases' in declared ? (declared.aliases ?? []) : []
      for (const path of [declared.path, ...aliases]) {
        const open = path.replaceAll(/:(\w+)/g, '{$1}').replace(/\*$/, '{path}')
        expect(paths[open]?.[declared.method.toLowerCase()]?.responses, open).toBeDefined()
      }
    }
  })

  test('[HTTP-20] names of operations are unique, and parameters of a path are declared', () => {
    const document = openApiDocument('1') as unknown as Record<
      'paths',
      Record<string, Record<string, Record<string, unknown>>>
    >
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.values(methods).map(operation => ({ path, operation })),
    )
    const ids = operations.map(({ operation }) => operation['operationId'])
    expect(new Set(ids).size).toBe(ids.length)
    for (const { path, operation } of operations) {
      const declared = (operation['parameters'] as { name: string; in: string }[]).filter(item => item.in === 'path')
      expect(declared.map(({ name }) => `{${name}}`).sort()).toEqual((path.match(/\{\w+\}/g) ?? []).sort())
    }
  })

  test('[HTTP-20] the document and its page are served by the server alone', async () => {
    await using server = await testListener({ handlers: openApiRoutes('1.2.3') })
    const reply = await send(`${server.url}/openapi.json`)
    expect(JSON.parse(reply.text)).toMatchObject({ openapi: '3.1.0', info: { version: '1.2.3' } })
    for (const path of ['/docs', '/docs/docs.js', '/docs/docs.css']) {
      const file = await send(server.url + path)
      expect(file.status).toBe(200)
      expect(file.text).not.toMatch(/https?:\/\//)
      expect(file.headers['content-security-policy']).toContain("default-src 'self'")
    }
    expect((await send(`${server.url}/docs/..%2fopenapi.ts`)).status).not.toBe(200)
    expect(readFileSync(new URL('./docs/index.html', import.meta.url), 'utf8')).not.toContain('onclick')
  })
})
