// Every rule of a SPEC.md is cited by a test, every rule id in a test title exists, and so does what the constitution names.
import { existsSync, globSync, readFileSync } from 'node:fs'

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

// Each line of its tables names rules and the tests that prove them.
const constitution = 'docs/explain/constitution.md'
for (const row of readFileSync(constitution, 'utf8').matchAll(/^\| (?!---|what holds).*$/gm)) {
  const [line] = row
  const wrong = what => fail(`${constitution}: ${line.slice(2, 60)}…: ${what}`)
  const ids = [...line.matchAll(/`([A-Z]+-\d+)`/g)].map(([, id]) => id)
  const files = [...line.matchAll(/`([\w./-]+\.(?:test|contract)\.ts)`/g)].map(([, file]) => file)
  if (ids.length === 0 || files.length === 0) wrong('names no rule or no test')
  for (const id of ids) if (!rules.has(id)) wrong(`no SPEC.md has ${id}`)
  const texts = files.map(file => [file, existsSync(file) ? readFileSync(file, 'utf8') : null])
  for (const [file, text] of texts) {
    if (text === null) wrong(`there is no ${file}`)
    else if (!ids.some(id => text.includes(`[${id}]`))) wrong(`${file} cites none of its rules`)
  }
  for (const id of ids) if (!texts.some(([, text]) => text?.includes(`[${id}]`))) wrong(`none of its tests cites ${id}`)
}

function fail(message) {
  console.error(message)
  process.exitCode = 1
}
if (!process.exitCode) console.log(`${rules.size} rules, each cited by a test`)
