import { createToken, getCaller, listAudit, listTokens, revokeToken } from '@slipway/protocol/access'
import { handle, type Handler } from '#http/handler'
import { page } from '#http/reply'
import type { Access } from './access.ts'

export function accessRoutes(access: Access): Handler[] {
  return [
    handle(createToken, ({ identity, body }) => access.create(identity, body)),
    handle(listTokens, async ({ identity, query, url }) => {
      const { tokens, next } = await access.list(identity, query)
      return page([...tokens], { url, next })
    }),
    handle(listAudit, async ({ identity, query: { after, ...query }, url }) => {
      const { entries, next } = await access.audit.list(identity, { ...query, before: after })
      return page(entries, { url, next })
    }),
    handle(revokeToken, ({ identity, params }) => access.revoke(identity, params.id)),
    handle(getCaller, ({ identity: { organisation, subject, scopes, isOperator } }) => ({
      organisation,
      subject,
      scopes: [...scopes],
      operator: isOperator,
    })),
  ]
}
