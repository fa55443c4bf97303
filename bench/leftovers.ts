import type { ChildProcess } from 'node:child_process'
import { rmSync } from 'node:fs'

/** What a bench that is ended early would leave behind: processes and temporary folders. */
const children = new Set<ChildProcess>()
const folders = new Set<string>()

/** Sees to it that the process does not outlive the bench. */
export function owned(child: ChildProcess): ChildProcess {
  watchForEnd()
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Sees to it that the folder does not outlive the bench. */
export function ownFolder(path: string): void {
  watchForEnd()
  folders.add(path)
}

export function removeFolder(path: string): void {
  rmSync(path, { recursive: true, force: true, maxRetries: 5 })
  folders.delete(path)
}

const dyingMs = 300
let isWatching = false

function watchForEnd(): void {
  if (isWatching) return
  isWatching = true
  process.once('SIGINT', () => process.exit(130))
  process.once('SIGTERM', () => process.exit(143))
  process.once('exit', () => {
    if (children.size > 0) {
      for (const child of children) child.kill('SIGKILL')
      // Until they are gone they may make folders anew; nothing else can be waited for in here.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, dyingMs)
    }
    for (const folder of folders) removeFolder(folder)
  })
}
