import { once } from 'node:events'
import { sleep } from '@slipway/kit/abort'
import { describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { testServer } from '#app/testing'
import { bytes, rawBus, schema, text } from './testing.ts'

const apiToken = 'a-token-of-good-length'

function event(topic: string, value: unknown) {
  return { case: 'publish', value: { topic, schema, payload: bytes(value) } } as const
}

describe('frames', () => {
  test('[SHIELD-1] what one client publishes another one gets, with its number', async () => {
    await using server = await testServer()
    using reader = await rawBus(server.url)
    using writer = await rawBus(server.url)
    await reader.ask(
      { case: 'subscribe', value: { subscription: 7, source: { case: 'topic', value: 'input.assets' } } },
      'subscribed',
    )
    const published = await writer.ask(event('input.assets', { n: 1 }), 'published')
    const { subscription, envelope } = await reader.next('message')
    expect(subscription).toBe(7)
    expect(envelope).toMatchObject({ id: published.id, topic: 'input.assets', schema, seq: 1n })
    expect(text(envelope?.payload)).toBe('{"n":1}')
  })
})
void once
void sleep
void WebSocket
void apiToken
