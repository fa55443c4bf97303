/** The files of a new operator, by their names. */
export function operatorFiles(name: string): ReadonlyMap<string, string> {
  return new Map([
    ['package.json', packageJson(name)],
    ['operator.js', program(name)],
    ['README.md', readme(name)],
  ])
}

function packageJson(name: string): string {
  const manifest = {
    name: `${name}-operator`,
    version: '0.1.0',
    private: true,
    type: 'module',
    scripts: { start: 'node operator.js' },
    dependencies: { '@slipway/sdk': '0.1.0', zod: '^4.0.0' },
  }
  return `${JSON.stringify(manifest, null, 2)}\n`
}

function program(name: string): string {
  return `import { connectOperator } from '@slipway/sdk/operator'
import { PermanentFailure } from '@slipway/sdk/operator-job'
import { z } from 'zod'

// What a job brings. A job with another payload fails for good, with a message that says why.
const Job = z.object({ text: z.string() })

const url = process.env.SLIPWAY_URL ?? 'http://127.0.0.1:8000'
const operator = connectOperator(url, process.env.SLIPWAY_TOKEN, {
  id: '${name}-1',
  type: '${name}',
  version: '0.1.0',
  maxParallelJobs: 4,
  onState: state => console.log(state.type, state.reason ?? ''),
})

operator.subscribe(
  '${name}.jobs',
  async ({ text }, job) => {
    // Tried again unless it is a PermanentFailure.
    if (text === '') throw new PermanentFailure('There is no text.')
    job.log(\`attempt \${job.attempt} of \${job.maxAttempts}\`)
    const words = text.split(/\\s+/).filter(Boolean)
    for (const [index, word] of words.entries()) {
      job.signal.throwIfAborted()
      job.progress({ word: index + 1, of: words.length })
      await job.stream({ word })
    }
    return { job_id: job.id, words: words.length }
  },
  { input: Job, schema: 'arqonbus.${name}.job.v1', resultSchema: 'arqonbus.${name}.result.v1' },
)

// Ends the jobs that it has, and then the program.
process.once('SIGTERM', () => void operator.drain())
process.once('SIGINT', () => void operator.drain())
await operator.ended
`
}

function readme(name: string): string {
  return `# ${name}

Does the jobs of the topic \`${name}.jobs\` of a Slipway server.

    npm install
    SLIPWAY_URL=http://127.0.0.1:8000 SLIPWAY_TOKEN=slw_… npm start

The token needs the scope \`operate:jobs\`; a server on this machine without tokens needs none. \`slipway operators\` shows whether the operator is there. Put your work into the function in \`operator.js\`: what it gives is the result of the job.
`
}
