// Bundles the programs into dist/, or the folder that is named, so that they run with Node and the packages in
// `external` alone. Further programs are named behind the folder, `name=source`.
import { build } from 'esbuild'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'

/** Program in dist/ <- its source. All share their chunks and find their files beside themselves. */
const programs = {
  server: 'packages/server/src/app/main.ts',
  migrate: 'packages/server/src/app/migrate.ts',
  cli: 'packages/cli/src/main.ts',
}
/** What runs inside a sandbox or on a thread is loaded by itself, so each is whole. */
const wholePrograms = {
  'pyodide-host.js': 'packages/runner/src/pyodide-host.ts',
  'policy-worker.js': 'packages/server/src/features/shield/policy-worker.ts',
  'mapping-worker.js': 'packages/server/src/features/mappings/mapping-worker.ts',
}
const files = { 'slipway_runner.py': 'packages/runner/src/slipway_runner.py' }
const folders = { page: 'packages/server/src/app/page', docs: 'packages/server/src/http/docs' }
/** Loaded from node_modules as they are. */
const external = ['pyodide', 'pyodide/*']

/** The messages of zod in all languages but English, which is half of it, are asked for by nobody and left out. */
const withoutLanguages = {
  name: 'without-languages',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /\/locales\/index\.js$/ }, ({ importer }) =>
      /[\\/]zod[\\/]/.test(importer) ? { path: 'none', namespace: 'languages' } : undefined,
    )
    onLoad({ filter: /.*/, namespace: 'languages' }, () => ({ contents: 'export {}' }))
  },
}

/**
 * Node makes a module out of each of its own that is imported, and looks at everything in it for that; in `node:http`
 * alone this loads a second HTTP client. What is required is taken as it is, which saves a quarter of a start.
 */
const builtInsAsTheyAre = {
  name: 'built-ins-as-they-are',
  setup: ({ onResolve, onLoad }) => {
    onResolve({ filter: /.*/ }, ({ path, namespace }) => {
      if (!isBuiltin(path)) return undefined
      return namespace === 'built-in' ? { path, external: true } : { path, namespace: 'built-in' }
    })
    onLoad({ filter: /.*/, namespace: 'built-in' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)})`,
    }))
  },
}

const [out = 'dist', ...further] = process.argv.slice(2)
const options = {
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node26',
  external,
  plugins: [withoutLanguages],
  legalComments: 'none',
  logLevel: 'warning',
  // Packages in the older module form ask for `require`, which a module does not have by itself.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module';const require = __createRequire(import.meta.url);",
  },
}

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
const all = [...Object.entries(programs), ...further.map(program => program.split('='))]
const present = all.filter(([, source]) => existsSync(source))
await build({
  ...options,
  plugins: [withoutLanguages, builtInsAsTheyAre],
  entryPoints: Object.fromEntries(present.map(([name, source]) => [`${name}-program`, source])),
  outdir: out,
  outExtension: { '.js': '.mjs' },
  splitting: true,
  chunkNames: '[name]-[hash]',
  minifySyntax: true,
  minifyWhitespace: true,
})
for (const [name, source] of Object.entries(wholePrograms)) {
  await build({ ...options, entryPoints: [source], outfile: `${out}/${name}` })
}
for (const [name, source] of Object.entries(files)) copyFileSync(source, `${out}/${name}`)
for (const [name, source] of Object.entries(folders)) cpSync(source, `${out}/${name}`, { recursive: true })
writeFileSync(`${out}/package.json`, '{ "type": "module" }\n')
// The compiled form is kept beside the programs, which makes each later start faster. Where nothing can be written,
// nothing is kept. It is written while the program runs: one that is killed writes nothing at its end.
for (const [name] of present) {
  const start = [
    '#!/usr/bin/env node',
    "import { enableCompileCache, flushCompileCache } from 'node:module'",
    "enableCompileCache(import.meta.dirname + '/.compiled')",
    'for (const seconds of [1, 30]) setTimeout(flushCompileCache, seconds * 1000).unref()',
    `await import('./${name}-program.mjs')`,
  ]
  writeFileSync(`${out}/${name}.mjs`, `${start.join('\n')}\n`)
  chmodSync(`${out}/${name}.mjs`, 0o755)
}
