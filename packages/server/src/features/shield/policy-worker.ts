/** A thread that runs policies, one task at a time. It is ended from outside when a task takes too long. */
import { parentPort } from 'node:worker_threads'
import { modulesKept, type PolicyTask } from './policy-abi.ts'
import { checkPolicy, loadPolicy } from './policy-guest.ts'
import type { WasmModule } from './wasm.ts'

const modules = new Map<string, WasmModule>()

async function answer(task: PolicyTask): Promise<unknown> {
  if (task.type === 'load') return loadPolicy(task.bytes)
  const module = task.module ?? modules.get(task.key)
  if (module === undefined) return { type: 'failed', why: 'its module is not here', logs: [] }
  if (!modules.has(task.key) && modules.size >= modulesKept) modules.clear()
  modules.set(task.key, module)
  return checkPolicy(module, task.message)
}

parentPort?.on('message', (task: PolicyTask) => {
  void answer(task).then(said => parentPort?.postMessage(said))
})
parentPort?.postMessage('ready')
