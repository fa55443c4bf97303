import { existsSync } from 'node:fs'
import { cp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parseJson } from '@slipway/kit/json'
import { temporaryFolder } from '@slipway/server/app/testing'
import { chromium, type Browser, type BrowserContextOptions, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { examplePlans, slipway, startSlipway, type Server } from '../testbed/slipway.ts'

const program = '/usr/bin/chromium'
const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run']
const urgent = 'URGENT: our production server is down and we lose money every minute.'

if (!existsSync(program)) console.warn(`Browser tests are skipped: there is no ${program} (apt-get install chromium).`)

describe.skipIf(!existsSync(program))('page', () => {
  let browser: Browser
  let server: Server
  let folder: Awaited<ReturnType<typeof temporaryFolder>>
  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: program,
      args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', ...quiet],
    })
    server = await startSlipway()
    folder = await temporaryFolder()
    for (const plan of ['long-addition', 'triage'])
      await slipway(['pack', join(examplePlans, plan), '-o', join(folder.path, `${plan}.zip`)])
  })
  afterAll(async () => {
    await browser.close()
    await server[Symbol.asyncDispose]()
    await folder[Symbol.asyncDispose]()
  })

  /** A page that fails its test when anything in it fails or is refused by the content policy. */
  async function open(path = '/', { url = server.url, ...options }: BrowserContextOptions & { url?: string } = {}) {
    const context = await browser.newContext(options)
    const page = await context.newPage()
    const troubles: string[] = []
    const elsewhere: string[] = []
    page.on('pageerror', error => troubles.push(error.message))
    page.on('console', message => {
      if (/Content Security Policy|Uncaught/.test(message.text())) troubles.push(message.text())
    })
    page.on('request', request => {
      if (!request.url().startsWith(url)) elsewhere.push(request.url())
    })
    await page.goto(url + path)
    return {
      page,
      troubles,
      [Symbol.asyncDispose]: async () => {
        await context.close()
        expect({ troubles, elsewhere }).toEqual({ troubles: [], elsewhere: [] })
      },
    }
  }

  async function deploy(page: Page, plan: string): Promise<void> {
    await page.setInputFiles('#package', join(folder.path, `${plan}.zip`))
    await page.getByText(new RegExp(`${plan} 1.0.0 (is deployed|was deployed already)`)).waitFor()
  }

  test('[PAGE-1] the empty page says what to do, deploys a zip and explains a bad one', async () => {
    await using opened = await open()
    const { page } = opened
    await page.getByText('No plans are deployed yet').waitFor()
    await deploy(page, 'long-addition')
    await page.getByRole('heading', { name: 'long-addition' }).waitFor()

    const broken = join(folder.path, 'broken')
    await cp(join(examplePlans, 'triage'), broken, { recursive: true })
    const path = join(broken, 'inference_repo.json')
    await writeFile(path, (await readFile(path, 'utf8')).replaceAll('"assigning"', '"wishing"'))
    await slipway(['pack', broken, '-o', join(folder.path, 'broken.zip')])
    await page.setInputFiles('#package', join(folder.path, 'broken.zip'))
    await page.getByText('plan.invalid').waitFor()
    await expect
      .poll(() => page.locator('.problems li').first().innerText())
      .toMatch(/inference_repo\.json#[^]*wishing/)
  })

  test('[PAGE-1] a dropped zip is deployed', async () => {
    await using opened = await open()
    const { page } = opened
    const bytes = (await readFile(join(folder.path, 'triage.zip'))).toString('base64')
    const data = await page.evaluateHandle(`(() => {
      const transfer = new DataTransfer()
      const content = Uint8Array.from(atob('${bytes}'), character => character.charCodeAt(0))
      transfer.items.add(new File([content], 'triage.zip', { type: 'application/zip' }))
      return transfer
    })()`)
    await page.dispatchEvent('.drop', 'drop', { dataTransfer: data })
    await page.getByRole('heading', { name: 'triage' }).waitFor()
  })

  test('[PAGE-2] [PAGE-4] [PAGE-7] a run from form to result, with its calls', async () => {
    await using opened = await open()
    const { page } = opened
    await deploy(page, 'long-addition')
    await page.getByRole('button', { name: 'Start a run of long-addition' }).click()
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await page.getByText('first number is required').waitFor()
    await page.getByLabel('How first number is given').selectOption('File')
    await page
      .getByLabel('File for first number')
      .setInputFiles({ name: 'n.txt', mimeType: 'text/plain', buffer: Buffer.from('12345678901234567890') })
    await page.getByLabel('How second number is given').selectOption('JSON')
    await page.getByLabel('second number required').fill('[1')
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await page.getByText('second number is not valid JSON').waitFor()
    await page.getByLabel('second number required').fill('1')
    await page.getByRole('button', { name: 'Start', exact: true }).click()
    await page.waitForURL(/\/runs\/run_/)
    await page.getByText('12345678901234567891').waitFor()
    await page.locator('.pill[data-status=completed]').waitFor()
    const steps = page.locator('.steps > li')
    await expect.poll(() => steps.count()).toBe(9)
    await expect.poll(() => steps.first().innerText()).toMatch(/1[^]*\{sum\}[^]*ms/)
    await expect.poll(() => page.locator('.steps > li[data-status=completed]').count()).toBe(9)
    await page.getByRole('heading', { name: 'Calls' }).click()
    const call = page.locator('.calls > li').filter({ hasText: 'script.call' }).first()
    await call.locator('summary').click()
    await expect.poll(() => call.innerText()).toMatch(/script\.\w+[^]*In[^]*Out/)
  })

  test('[PAGE-3] runs appear and change by themselves, and can be filtered', async () => {
    await using opened = await open()
    const { page } = opened
    await page.getByText('Live').waitFor()
    const id = (await server.cli(['run', 'triage', '-i', `message=${urgent}`, '-q'])).stdout.trim()
    const row = page.locator(`li[data-run="${id}"]`)
    await row.locator('.pill[data-status=waiting]').waitFor()
    await page.getByLabel('Status').selectOption('completed')
    await row.waitFor({ state: 'detached' })
    await page.getByLabel('Status').selectOption('all')
    await row.waitFor()
    await server.cli(['stop', id])
    await row.locator('.pill[data-status=failed]').waitFor()
  })

  test('[PAGE-5] [PAGE-11] a question is announced and answered by keyboard', async () => {
    const id = (await server.cli(['run', 'triage', '-i', `message=${urgent}`, '-q'])).stdout.trim()
    await using opened = await open(`/runs/${id}`)
    const { page } = opened
    await page.getByText('This run asks you').waitFor()
    await expect.poll(() => page.locator('#announcer').innerText()).toContain('The run asks')
    const field = page.locator('.questions textarea, .questions input').first()
    await field.focus()
    await page.keyboard.type('We call back within the hour')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.locator('.pill[data-status=completed]').waitFor()
    await page.getByText('We call back within the hour').first().waitFor()
    await expect.poll(() => page.locator('#announcer').innerText()).toContain('completed')
  })

  test('[PAGE-6] [PAGE-11] stopping asks first, by keyboard alone', async () => {
    const id = (await server.cli(['run', 'triage', '-i', `message=${urgent}`, '-q'])).stdout.trim()
    await using opened = await open(`/runs/${id}`)
    const { page } = opened
    await page.getByText('This run asks you').waitFor()
    const stop = page.getByRole('button', { name: 'Stop', exact: true })
    await stop.focus()
    await page.keyboard.press('Enter')
    await page.getByRole('dialog', { name: 'Stop this run?' }).waitFor()
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await expect.poll(() => page.locator('.pill').innerText()).toBe('waiting')
    await stop.focus()
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Stop the run' }).focus()
    await page.keyboard.press('Enter')
    await page.locator('.pill[data-status=failed]').waitFor()
    await page.getByText('cancelled', { exact: true }).waitFor()
  })

  test('[PAGE-8] the page says that the server is gone and goes on when it is back', async () => {
    await using data = await temporaryFolder()
    const first = await startSlipway({ data: data.path })
    const { port } = new URL(first.url)
    await first.cli(['deploy', join(examplePlans, 'long-addition')])
    await using opened = await open('/', { url: first.url })
    const { page } = opened
    await page.getByText('Live').waitFor()
    await first.stop()
    await page.getByText('Connection lost').waitFor()
    await using second = await startSlipway({ data: data.path, port })
    await page.getByText('Live').waitFor()
    const id = (
      await second.cli(['run', 'long-addition', '-i', 'first number=1', '-i', 'second number=2', '-q'])
    ).stdout.trim()
    await page.locator(`li[data-run="${id}"] .pill[data-status=completed]`).waitFor()
  })

  test('[PAGE-9] a token is asked for, checked, and kept for the session only', async () => {
    const token = 'a-token-with-/-and-='
    await using guarded = await startSlipway({ env: { SLIPWAY_API_TOKEN: token } })
    await using opened = await open('/', { url: guarded.url })
    const { page } = opened
    await page.getByRole('textbox', { name: 'Token' }).fill('wrong-wrong-wrong-wrong')
    await page.keyboard.press('Enter')
    await page.getByText('did not accept that token').waitFor()
    await page.getByRole('textbox', { name: 'Token' }).fill(token)
    await page.keyboard.press('Enter')
    await page.getByText('No plans are deployed yet').waitFor()
    await page.getByText('Live').waitFor()
    await page.reload()
    await page.getByText('No plans are deployed yet').waitFor()
    expect(await page.evaluate<number>('localStorage.length')).toBe(0)
  })

  test('[PAGE-10] names and values with markup are shown as they are', async () => {
    const evil = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
    const plan = join(folder.path, 'evil')
    await cp(join(examplePlans, 'long-addition'), plan, { recursive: true })
    const manifest = join(plan, 'manifest.json')
    const content = parseJson(await readFile(manifest, 'utf8')) as Record<string, unknown>
    await writeFile(manifest, JSON.stringify({ ...content, name: 'evil', description: evil }))
    await server.cli(['deploy', plan])
    await using opened = await open()
    const { page } = opened
    await page.getByText(evil).waitFor()
    const id = (
      await server.cli(['run', 'evil', '-i', `first number=${evil}`, '-i', 'second number=1', '-q'])
    ).stdout.trim()
    await page.goto(`${server.url}/runs/${id}`)
    await page.locator('.pill:not([data-status=running]):not([data-status=pending])').waitFor()
    await page.getByRole('heading', { name: 'Calls' }).click()
    await page.locator('.calls > li summary').first().click()
    expect(await page.title()).toBe('evil · Slipway')
    expect(await page.locator('main img, main script').count()).toBe(0)
  })

  test('[PAGE-11] the keyboard reaches everything in order and sees where it is', async () => {
    await using opened = await open()
    const { page } = opened
    await page.getByText('Live').waitFor()
    const reached: string[] = []
    for (let n = 0; n < 8; n++) {
      await page.keyboard.press('Tab')
      const at = await page.evaluate<{ name: string; id: string; outlined: boolean }>(`(() => {
        const here = document.activeElement
        // The file field is not seen itself; its button shows the outline.
        const shown = here.id === 'package' ? here.nextElementSibling : here
        const outlined = getComputedStyle(shown).outlineStyle !== 'none'
        return { name: here.getAttribute('aria-label') ?? here.textContent, id: here.id, outlined }
      })()`)
      expect(at.outlined).toBe(true)
      reached.push(at.id === 'package' ? 'package' : at.name)
    }
    expect(reached.slice(0, 3)).toEqual(['Skip to the content', 'Slipway', 'package'])
    expect(reached.some(name => name.startsWith('Start a run of'))).toBe(true)
  })

  test('[PAGE-12] nothing scrolls sideways at any width, light or dark', async () => {
    const value = 'x'.repeat(400)
    const run = (await server.cli(['run', 'triage', '-i', `message=${value}`, '--watch', '--json', '-q'])).stdout
    const id = /run_[0-9a-z]{10,}/.exec(run)?.[0] ?? ''
    for (const colorScheme of ['light', 'dark'] as const)
      for (const width of [390, 768, 1440])
        for (const path of ['/', `/runs/${id}`]) {
          await using opened = await open(path, { colorScheme, viewport: { width, height: 844 } })
          const { page } = opened
          await page.locator('.rows, .value').first().waitFor()
          await page.evaluate(`document.querySelectorAll('details').forEach(part => { part.open = true })`)
          const over = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
          expect({ colorScheme, width, path, over }).toEqual({ colorScheme, width, path, over: 0 })
        }
  })
})
