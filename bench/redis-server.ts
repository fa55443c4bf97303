import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { owned } from './leftovers.ts'
import { freePort } from './server-process.ts'

const patienceMs = 30_000

/** Why there is no Redis here, or null. */
export function missingRedis(): string | null {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' })
    return null
  } catch {
    return 'Redis is not installed: redis-server was not found'
  }
}

/** A Redis of its own over a folder, which has on disk what it has answered. */
export class RedisServer implements AsyncDisposable {
  readonly url: string
  readonly #process: ChildProcess

  private constructor(port: number, process: ChildProcess) {
    this.url = `redis://127.0.0.1:${port}`
    this.#process = process
  }

  static async start(folder: string): Promise<RedisServer> {
    const port = await freePort()
    const settings = {
      bind: '127.0.0.1',
      port: String(port),
      dir: folder,
      appendonly: 'yes',
      appendfsync: 'always',
      save: '',
    }
    const options = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value])
    const child = owned(spawn('redis-server', options, { cwd: folder, stdio: 'ignore' }))
    const giveUpAt = performance.now() + patienceMs
    while (!(await answers(port))) {
      if (child.exitCode !== null) throw new Error(`Redis ended with ${child.exitCode} before it was ready.`)
      if (performance.now() > giveUpAt) throw new Error(`Redis was not ready after ${patienceMs} ms.`)
      await sleep(10)
    }
    return new RedisServer(port, child)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGTERM')
    await exited
  }
}

function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection({ host: '127.0.0.1', port }, () => socket.write('PING\r\n'))
    socket.once('data', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
