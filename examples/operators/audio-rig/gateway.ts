// The gateway of an audio rig: takes nvm.jobs, has the rig play a pulse, decodes what the microphone heard.
import { parseArgs } from 'node:util'
import { connectOperator } from '@slipway/sdk/operator'
import { z } from 'zod'
import { decode } from './decode.ts'
import { simulatedRig } from './simulated-rig.ts'

const Job = z.object({
  /** The pulse: tones that are played together. */
  program: z.object({
    tones: z
      .array(z.object({ hertz: z.number().min(20).max(8_000), level: z.number().min(0).max(1) }))
      .min(1)
      .max(16),
  }),
  constraints: z.object({ max_runs: z.int().min(1).max(64).default(1) }).prefault({}),
})

const { values } = parseArgs({
  options: { url: { type: 'string', default: 'http://127.0.0.1:8000' }, seed: { type: 'string', default: '1' } },
})
const rig = simulatedRig({ seed: Number(values.seed) })
const samples = 8_192

const operator = connectOperator(values.url, process.env['SLIPWAY_TOKEN'], {
  id: 'audio-rig-1',
  type: 'nvm',
  version: '1.0.0',
  // There is one loudspeaker.
  maxParallelJobs: 1,
  onState: state => console.log(state.type),
})

operator.subscribe(
  'nvm.jobs',
  async ({ program, constraints }, job) => {
    const heard = new Float64Array(samples)
    for (let run = 1; run <= constraints.max_runs; run++) {
      job.signal.throwIfAborted()
      const recording = rig.capture(program.tones, samples)
      recording.forEach((value, index) => (heard[index] = (heard[index] ?? 0) + value / constraints.max_runs))
      job.progress({ run, of: constraints.max_runs })
      await job.stream({ run, loudest: Math.max(...recording) })
    }
    const peaks = decode(heard, rig.sampleRate, program.tones.length)
    job.log(`${peaks.length} of ${program.tones.length} tones were heard`)
    return { job_id: job.id, peaks }
  },
  { input: Job },
)

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void operator.drain())
await operator.ended
