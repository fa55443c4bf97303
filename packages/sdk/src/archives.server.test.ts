import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { createClient } from './client.ts'

test('[SDK-11] an export that falls silent is given up, one that keeps arriving is not', async () => {
  const wire = createServer((request, response) => {
    response.write('first ')
    if (request.url?.includes('silent')) return
    let left = 5
    const timer = setInterval(() => {
      if (left-- > 0) return void response.write('more ')
      clearInterval(timer)
      response.end('last')
    }, 150)
  }).listen(0, '127.0.0.1')
  await once(wire, 'listening')
  try {
    const client = createClient({ url: `http://127.0.0.1:${(wire.address() as AddressInfo).port}`, timeoutMs: 500 })
    expect(await new Response(await client.exportRun('steady')).text()).toBe('first more more more more more last')
    const silent = await client.exportRun('silent')
    await expect(new Response(silent).text()).rejects.toMatchObject({ code: 'server.unreachable' })
  } finally {
    wire.closeAllConnections()
    wire.close()
  }
})
