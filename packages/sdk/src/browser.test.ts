import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { expect, test } from 'vitest'

test('[SDK-38] a bundle for browsers has operators and the bus, and no client of a broker', async () => {
  const { outputFiles, metafile } = await build({
    entryPoints: ['bus', 'operator'].map(name => fileURLToPath(new URL(`${name}.ts`, import.meta.url))),
    bundle: true,
    platform: 'browser',
    format: 'esm',
    outdir: 'nowhere',
    write: false,
    metafile: true,
    logLevel: 'silent',
  })
  expect(outputFiles).toHaveLength(2)
  const inputs = Object.keys(metafile.inputs)
  expect(inputs.some(path => path.endsWith('sdk/src/bus-link.ts'))).toBe(true)
  expect(inputs.filter(path => path.includes('@nats-io'))).toEqual([])
})
