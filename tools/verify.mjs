// All checks of the repository, side by side; prints what failed and nothing of what passed.
import { spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'

const checks = [
  'check:types',
  'check:lint',
  'check:imports',
  'check:format',
  'check:dead',
  'check:rules',
  'check:reference',
  'check:generated',
]

function run(check) {
  return new Promise(resolve => {
    const started = performance.now()
    const child = spawn('npm', ['run', '--silent', check], { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', data => (output += data))
    child.stderr.on('data', data => (output += data))
    child.on('close', code => resolve({ check, code, output, seconds: (performance.now() - started) / 1000 }))
  })
}

const waiting = [...checks]
const failed = []
async function worker() {
  for (let check = waiting.shift(); check; check = waiting.shift()) {
    const result = await run(check)
    console.log(`${result.code === 0 ? 'ok    ' : 'FAILED'} ${check} (${result.seconds.toFixed(1)} s)`)
    if (result.code !== 0) failed.push(result)
  }
}
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, worker))
for (const { check, output } of failed) console.log(`\n--- ${check}\n${output.trim()}`)
process.exitCode = failed.length ? 1 : 0
