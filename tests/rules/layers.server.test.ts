import { execFile } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { temporaryFolder } from '@slipway/server/app/testing'
import { expect, test } from 'vitest'
import { repository } from '../testbed/slipway.ts'

const server = 'packages/server/src'
const empty = 'export {}\n'

/** What the check of imports says of these files, in a repository that has nothing else. */
async function problemsOf(files: Readonly<Record<string, string>>): Promise<string> {
  await using folder = await temporaryFolder()
  for (const [name, text] of Object.entries({ 'tsconfig.json': '{}', ...files })) {
    const path = join(folder.path, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, text)
  }
  const cruise = join(repository, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs')
  const args = [cruise, '--config', join(repository, '.dependency-cruiser.mjs'), 'packages']
  return await new Promise(resolve => {
    execFile(process.execPath, args, { cwd: folder.path }, (_error, stdout, stderr) => resolve(stdout + stderr))
  })
}

test.each([
  [
    'feature-shield',
    `${server}/features/shield/gate.ts`,
    '../spine/job-store.ts',
    `${server}/features/spine/job-store.ts`,
  ],
  ['feature-shield', `${server}/features/shield/gate.ts`, '../runs/runs.ts', `${server}/features/runs/runs.ts`],
  ['server-http', `${server}/http/listener.ts`, '../features/spine/spine.ts', `${server}/features/spine/spine.ts`],
  ['package-sdk', 'packages/sdk/src/client.ts', '../../server/src/app/main.ts', `${server}/app/main.ts`],
])('[WHOLE-1] %s: %s does not import %s', async (rule, from, what, to) => {
  const said = await problemsOf({ [from]: `import '${what}'\n`, [to]: empty })
  expect(said).toContain(`error ${rule}: ${from} → ${to}`)
})

test('[WHOLE-1] what stands in the table is no problem', async () => {
  const files = {
    [`${server}/features/shield/gate.ts`]: "import '../spine/spine.ts'\n",
    [`${server}/features/spine/spine.ts`]: empty,
  }
  expect(await problemsOf(files)).toContain('no dependency violations found')
})
