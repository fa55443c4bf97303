import { defineConfig } from 'vitest/config'

const tests = (suffix: string): string => `{packages,tests,examples}/**/*.${suffix}.ts`
const others = ['shared', 'db', 'services', 'server', 'browser'].map(kind => tests(`${kind}.test`))

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: [tests('test')], exclude: ['**/node_modules/**', ...others] } },
      { test: { name: 'shared', include: [tests('shared.test')], exclude: ['**/node_modules/**'] } },
      {
        test: {
          name: 'server',
          include: [tests('server.test'), tests('db.test')],
          exclude: ['**/node_modules/**'],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'services',
          include: [tests('services.test'), tests('browser.test')],
          exclude: ['**/node_modules/**'],
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
