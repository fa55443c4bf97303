import { existsSync } from 'node:fs'

const recorded = '../shared/data/normcode'

/** Says why suites are skipped, which their marks alone do not. */
export function setup(): void {
  if (!existsSync(recorded)) console.warn(`Suites of the project "shared" are skipped: there is no folder ${recorded}.`)
}
