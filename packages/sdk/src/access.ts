import { api } from '@slipway/protocol/api'
import type { Caller, CreatedToken, TokenView } from '@slipway/protocol/access'
import type { BodyInputOf, QueryInputOf } from '@slipway/protocol/route'
import { asTokenId } from './ids.ts'
import type { Page, Transport, Waiting } from './transport.ts'

/** Tokens, and who the client is for the server. */
export interface AccessMethods {
  /** Makes a token. Its text is in this reply and nowhere else. */
  createToken(token: BodyInputOf<typeof api.createToken>, options?: Waiting): Promise<CreatedToken>
  /** Newest first. */
  tokens(options?: QueryInputOf<typeof api.listTokens> & Waiting): Promise<Page<TokenView>>
  /** Ends a token. Repeating it changes nothing. */
  revokeToken(id: string, options?: Waiting): Promise<TokenView>
  me(options?: Waiting): Promise<Caller>
}

export function accessMethods({ call, page }: Transport): AccessMethods {
  return {
    createToken: (body, wait) => call(api.createToken, { body, ...wait }),
    tokens: ({ signal, timeoutMs, ...query } = {}) => page(api.listTokens, { query, signal, timeoutMs }),
    revokeToken: (id, wait) => call(api.revokeToken, { params: { id: asTokenId(id) }, ...wait }),
    me: wait => call(api.getCaller, { ...wait }),
  }
}
