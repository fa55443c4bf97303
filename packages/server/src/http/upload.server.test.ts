import type { IncomingMessage } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import { receiveZip } from './upload.ts'

test.each([
  ['application/zip', 'PK'],
  ['multipart/form-data; boundary=x', '--x\r\ncontent-disposition: form-data; name="plan"; filename="p.zip"\r\n\r\nPK'],
])('[HTTP-26] an upload that stops arriving is given up: %s', async (type, begin) => {
  const folder = await mkdtemp(join(tmpdir(), 'slipway-upload-'))
  try {
    const request = Object.assign(new PassThrough(), { headers: { 'content-type': type } })
    request.write(begin)
    const { signal } = new AbortController()
    const options = { field: 'plan', maxBytes: 1000, target: join(folder, 'p.zip'), signal, stallMs: 50 }
    // Nothing of the request but its head and its bytes is looked at.
    const received = receiveZip(request as unknown as IncomingMessage, options)
    await expect(received).rejects.toMatchObject({
      code: 'input.invalid',
      message: expect.stringContaining('given up') as string,
    })
  } finally {
    await rm(folder, { recursive: true })
  }
})
