import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, test } from 'vitest'

const program = join(import.meta.dirname, 'main.ts')
const folders: string[] = []
afterEach(() => folders.splice(0).forEach(folder => rmSync(folder, { recursive: true })))

function dataFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'slipway-migrate-'))
  folders.push(folder)
  return folder
}

async function slipway(parameters: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = spawn(process.execPath, [program, ...parameters], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const [out, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ])
  return { code, out, errors }
}

describe('slipway migrate', () => {
  test('[DB-6] it checks, applies once, and then has nothing to do', async () => {
    const data = dataFolder()
    const missing = await slipway(['migrate', '--check', '--json', '-d', data])
    expect(missing).toMatchObject({ code: 1, out: expect.stringContaining('"0001-plans"') as string })
    expect(existsSync(join(data, 'slipway.db'))).toBe(false)
    const first = await slipway(['migrate', '--data', data])
    expect(first).toMatchObject({ code: 0, out: expect.stringMatching(/^Applied 0001-plans, .+\.\n$/) as string })
    expect(await slipway(['migrate', '-d', data])).toEqual({
      code: 0,
      out: 'The database is up to date.\n',
      errors: '',
    })
    const checked = await slipway(['migrate', '--check', '--json'], { SLIPWAY_DATA_DIR: data })
    expect(checked).toEqual({ code: 0, out: '{"applied":[],"missing":[]}\n', errors: '' })
  })

  test('[DB-8] a database that cannot be reached or is none ends it with 2 and no password', async () => {
    for (const url of ['postgres://a:hidden@127.0.0.1:1/b', 'mysql://a:hidden@b/c']) {
      const { code, out, errors } = await slipway(['migrate', '-d', dataFolder()], { DATABASE_URL: url })
      expect({ code, out }).toEqual({ code: 2, out: '' })
      expect(errors).toContain('DATABASE_URL')
      expect(errors).not.toContain('hidden')
    }
  })

  test('[DB-8] settings are printed without it', async () => {
    const { out } = await slipway(['config', '--json'], { DATABASE_URL: 'postgres://a:hidden@b/c' })
    expect(out).toContain('databaseUrl')
    expect(out).not.toContain('hidden')
  })
})
