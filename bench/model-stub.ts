import { once } from 'node:events'
import { createServer, type Server } from 'node:http'

/** An HTTP server that answers as a model would, at once or after a while, and tells of each request. */
export class ModelStub implements AsyncDisposable {
  readonly url: string
  readonly #server: Server

  private constructor(server: Server, port: number) {
    this.#server = server
    this.url = `http://127.0.0.1:${port}/v1`
  }

  static async start(options: {
    readonly delayMs: number
    /** Told each request's number when it arrives. */
    readonly onRequest: (n: number) => void
    /** The answer to the request of this number. */
    readonly answer: (n: number) => string
  }): Promise<ModelStub> {
    let requests = 0
    const server = createServer((request, reply) => {
      const n = ++requests
      options.onRequest(n)
      request.resume().on('end', () => {
        const message = { role: 'assistant', content: options.answer(n) }
        const text = JSON.stringify({
          id: String(n),
          object: 'chat.completion',
          created: 0,
          model: 'stub',
          choices: [{ index: 0, message, finish_reason: 'stop' }],
          usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
        })
        const send = (): void => {
          reply.writeHead(200, { 'content-type': 'application/json' }).end(text)
        }
        if (options.delayMs > 0) setTimeout(send, options.delayMs)
        else send()
      })
    })
    server.keepAliveTimeout = 60_000
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('A TCP server has no port.')
    return new ModelStub(server, address.port)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }
}
