import { readFile } from 'node:fs/promises'

const EVERY_MS = 100
const PAGE_BYTES = 4096

/**
 * Calls `exceeded` once the process holds more memory than allowed. Looks from outside and only on Linux: a backstop
 * for memory that the interpreter's own limits do not count.
 */
export function watchMemory(pid: number, mostBytes: number, exceeded: () => void): Disposable {
  const timer = setInterval(() => {
    readFile(`/proc/${pid}/statm`, 'utf8').then(
      text => {
        const resident = Number(text.split(' ')[1]) * PAGE_BYTES
        if (resident > mostBytes) exceeded()
      },
      () => undefined,
    )
  }, EVERY_MS)
  return { [Symbol.dispose]: () => clearInterval(timer) }
}
