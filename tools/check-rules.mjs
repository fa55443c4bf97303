// Every rule of a SPEC.md is cited by a test, and every rule id in a test title exists.
import { globSync, readFileSync } from 'node:fs'

const ruleLine = /^- \*\*([A-Z]+-\d+)\*\*/gm
const citation = /\[([A-Z]+-\d+)\]/g
const title = /\b(?:test|it|describe)(?:\.\w+)*(?:\([^'"`]*\))?\(\s*['"`]([^'"`]*)/g

const ignore = { exclude: name => name === 'node_modules' || name === 'dist' }
const rules = new Map()
for (const file of globSync('{packages,tests,examples}/**/SPEC.md', ignore)) {
  for (const [, id] of readFileSync(file, 'utf8').matchAll(ruleLine)) {
    if (rules.has(id)) fail(`${file}: ${id} is already a rule of ${rules.get(id)}`)
    rules.set(id, file)
  }
}

const cited = new Set()
for (const file of globSync('{packages,tests,examples}/**/*.{test,contract}.ts', ignore)) {
  const text = readFileSync(file, 'utf8')
  for (const [, id] of text.matchAll(citation)) {
    if (rules.has(id)) cited.add(id)
  }
  for (const [, words] of text.matchAll(title)) {
    for (const [, id] of words.matchAll(citation)) {
      if (!rules.has(id)) fail(`${file}: cites ${id}, which no SPEC.md has`)
    }
  }
}
for (const [id, file] of rules) if (!cited.has(id)) fail(`${file}: no test cites ${id}`)

function fail(message) {
  console.error(message)
  process.exitCode = 1
}
if (!process.exitCode) console.log(`${rules.size} rules, each cited by a test`)
