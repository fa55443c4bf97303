import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

const tests = (suffix: string): string => `{packages,tests,examples}/**/*.${suffix}.ts`
const faults = 'tests/faults/**/*.services.test.ts'
const others = ['shared', 'db', 'services', 'server', 'browser'].map(kind => tests(`${kind}.test`))

export default defineConfig({
  test: {
    // Tests of servers wait for other processes, so one worker would leave a small machine idle.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    globalSetup: 'tests/testbed/cache-setup.ts',
    projects: [
      {
        // Nothing here has a state to hide from other files, so that a worker loads each module once.
        test: { name: 'unit', include: [tests('test')], exclude: ['**/node_modules/**', ...others], isolate: false },
      },
      {
        test: {
          name: 'shared',
          include: [tests('shared.test')],
          exclude: ['**/node_modules/**'],
          globalSetup: 'tests/testbed/shared-setup.ts',
        },
      },
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
          // Tests of the database run in `server` on SQLite and here on Postgres.
          include: [tests('services.test'), tests('browser.test'), tests('db.test')],
          exclude: ['**/node_modules/**', faults],
          globalSetup: 'tests/testbed/postgres-setup.ts',
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'faults',
          include: [faults],
          exclude: ['**/node_modules/**'],
          globalSetup: ['tests/testbed/postgres-setup.ts', 'tests/testbed/program-setup.ts'],
          testTimeout: 900_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
