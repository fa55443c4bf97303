import { parseJson } from '@slipway/kit/json'
import type { CreatedToken, TokenView } from '@slipway/protocol/access'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startSlipway, type Server } from '../../../tests/testbed/slipway.ts'

let server: Server
beforeAll(async () => {
  server = await startSlipway({ env: { SLIPWAY_API_TOKEN: 'the-token-of-the-operator' } })
})
afterAll(() => server[Symbol.asyncDispose]())

test('[CLI-33] tokens are made, shown and revoked', async () => {
  const made = await server.cli(['token', 'create', '--name', 'one', '--organisation', 'acme', '--expires', '30d'])
  expect(made).toMatchObject({ code: 0 })
  const [, id = ''] = /^slw_([0-9a-f]{16})_\S{43}\n$/.exec(made.stdout) ?? []
  expect(made.stderr).toContain(`${id} for acme: read:plans, read:jobs, write:jobs; holds until`)
  expect(made.stderr).toContain('The organisation acme is new.')
  const args = ['token', 'create', '--name', 'two', '--scope', 'admin', '--expires', 'never', '--json']
  const second = await server.cli(args)
  expect(second).toMatchObject({ code: 0 })
  const two = parseJson(second.stdout) as CreatedToken
  expect(two).toMatchObject({ organisation: 'default', scopes: ['admin'], expires_at: null, closes_server: false })
  const with_ = (token: string) => ({ env: { SLIPWAY_API_TOKEN: token } })
  expect(await server.cli(['plans'], with_(made.stdout.trim()))).toMatchObject({ code: 0 })
  const listed = await server.cli(['token', 'list'])
  expect(
    listed.stdout
      .split('\n')
      .slice(0, 3)
      .map(line => line.split(/ {2,}/).slice(0, 5)),
  ).toEqual([
    ['TOKEN', 'NAME', 'ORGANISATION', 'STATUS', 'EXPIRES'],
    [two.id, 'two', 'default', 'valid', 'never'],
    [id, 'one', 'acme', 'valid', expect.stringMatching(/^\d{4}-/) as string],
  ])
  expect((await server.cli(['token', 'revoke', id])).stdout).toBe(`Revoked ${id} (one).\n`)
  const own = parseJson((await server.cli(['token', 'list', '--organisation', 'acme', '--json'])).stdout) as TokenView[]
  expect(own).toMatchObject([{ id, status: 'revoked' }])
  const refused = await server.cli(['plans'], with_(made.stdout.trim()))
  expect(refused.stderr).toContain('was revoked')
  expect(refused.stderr).toContain('[auth.required]')
  expect(JSON.stringify([listed, own])).not.toContain(made.stdout.trim().slice(21))
})

test.each([
  ['an unknown scope', ['create', '--name', 'x', '--scope', 'everything'], 'read:plans'],
  ['a time that is none', ['create', '--name', 'x', '--expires', 'soon'], '30d'],
  ['no name', ['create'], '--name'],
  ['an unknown token', ['revoke', '0'.repeat(16)], '[token.unknown]'],
])('[CLI-33] %s is refused', async (_what, args, said) => {
  const end = await server.cli(['token', ...args])
  expect(end.code).toBe(2)
  expect(end.stderr).toContain(said)
})
