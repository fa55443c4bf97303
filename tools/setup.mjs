// Installs what is missing, and does nothing when everything is there. Runs on any Node from 20 on, before anything
// is installed, so it uses nothing but Node itself. With arguments it then runs them as a program under the Node that
// the packages bring: `node tools/setup.mjs <file> [arguments]`. A shell that has looked up `node` before the
// installation would go on with the machine's own.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const oldestNode = 20

const major = Number(process.versions.node.split('.')[0])
if (major < oldestNode)
  fail(`Node ${process.versions.node} is too old. Install Node ${oldestNode} or later: https://nodejs.org`)

const reason = whyInstall()
if (reason !== null) {
  console.log(`Installing packages: ${reason}. This takes about a minute the first time.`)
  install()
  const left = whyInstall()
  if (left !== null) fail(`npm finished, but ${left}. Remove the folder node_modules and try again.`)
  console.log('Installed.')
}
if (process.argv.length > 2) runProgram(process.argv.slice(2))

/** Why packages have to be installed, or null when those of the lockfile are all there. */
function whyInstall() {
  const wanted = packagesOf('package-lock.json')
  if (wanted === null) fail('package-lock.json is missing or damaged. Get it back from the repository.')
  // npm keeps a list of what it put there, so neither times of files nor a mark of our own are needed.
  const present = packagesOf('node_modules/.package-lock.json')
  if (present === null) return 'none are installed yet'
  for (const [path, { version, link, optional }] of Object.entries(wanted)) {
    // The root has no entry, links are the workspaces, and optional ones depend on the machine.
    if (!path.includes('node_modules/') || link || optional) continue
    if (present[path]?.version !== version) return `${path.split('node_modules/').at(-1)} ${version} is not installed`
    if (!existsSync(`${root}/${path}`)) return `${path} is gone`
  }
  return null
}

function packagesOf(file) {
  try {
    return JSON.parse(readFileSync(`${root}/${file}`, 'utf8')).packages ?? null
  } catch {
    return null
  }
}

function install() {
  // npm tells its own place to the scripts it runs; started by hand, it is looked for.
  const npm = process.env.npm_execpath
  const args = ['ci', '--no-audit', '--no-fund', '--loglevel=error']
  const options = { cwd: root, stdio: 'inherit' }
  const done = npm?.endsWith('.js')
    ? spawnSync(process.execPath, [npm, ...args], options)
    : spawnSync('npm', args, { ...options, shell: process.platform === 'win32' })
  if (done.error) fail(`npm could not be started (${done.error.message}). Is it installed?`)
  if (done.status !== 0)
    fail('npm could not install the packages. The lines above say why; is the npm registry reachable?')
}

function runProgram(args) {
  const node = `${root}/node_modules/node/bin/node${process.platform === 'win32' ? '.exe' : ''}`
  const program = spawn(existsSync(node) ? node : process.execPath, args, { cwd: root, stdio: 'inherit' })
  // Ctrl-C reaches the program by itself, since it is in our group; we only wait for what it makes of it.
  process.on('SIGINT', () => undefined)
  process.on('SIGTERM', () => program.kill('SIGTERM'))
  program.on('error', error => fail(`${args[0]} could not be started: ${error.message}`))
  program.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1)
  })
}

function fail(message) {
  console.error(message)
  process.exit(1)
}
