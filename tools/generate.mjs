// Writes the code of the .proto files anew; with --check it only says whether what is there is up to date.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const protocol = join(root, 'packages/protocol')
const generated = join(protocol, 'src/generated')
const environment = { ...process.env, PATH: join(root, 'node_modules/.bin') + delimiter + process.env.PATH }
const buf = (...args) => execFileSync('buf', args, { cwd: protocol, env: environment, stdio: 'inherit' })

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
