/** A thread that evaluates expressions, one task at a time. It is ended from outside when a task takes too long. */
import { parentPort } from 'node:worker_threads'
import { MappingGuest } from './mapping-guest.ts'
import type { MappingTask } from './mapping-task.ts'

const guest = new MappingGuest(1_000)

parentPort?.on('message', (task: MappingTask) => {
  void guest.answer(task).then(said => parentPort?.postMessage(said))
})
parentPort?.postMessage('ready')
