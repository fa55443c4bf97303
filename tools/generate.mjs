// Writes the code of the .proto files anew; with --check it only says whether what is there is up to date.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const protocol = join(root, 'packages/protocol')
const generated = join(protocol, 'src/generated')
const programs = join(root, 'tools/generate/node_modules/.bin')
const environment = { ...process.env, PATH: programs + delimiter + process.env.PATH }
const buf = (...args) => execFileSync('buf', args, { cwd: protocol, env: environment, stdio: 'inherit' })

// Only who changes the wire format needs these, and not every registry has them for every system.
if (!existsSync(join(programs, 'buf')))
  execFileSync('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: join(root, 'tools/generate'),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
buf('lint')
const folder = mkdtempSync(join(tmpdir(), 'slipway-generate-'))
try {
  buf('generate', '--output', folder)
  const fresh = join(folder, 'src/generated')
  if (!process.argv.includes('--check')) {
    rmSync(generated, { recursive: true, force: true })
    cpSync(fresh, generated, { recursive: true })
  } else if (!isSame(fresh, generated)) {
    console.error('packages/protocol/src/generated is not what its .proto files say. Run `npm run generate`.')
    process.exitCode = 1
  }
} finally {
  rmSync(folder, { recursive: true, force: true })
}

function isSame(one, other) {
  const files = folder => (existsSync(folder) ? globSync('**/*.ts', { cwd: folder }).sort() : [])
  const [left, right] = [files(one), files(other)]
  return (
    left.length > 0 &&
    left.join() === right.join() &&
    left.every(file => readFileSync(join(one, file)).equals(readFileSync(join(other, file))))
  )
}
