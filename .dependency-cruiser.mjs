import { engineForCli, features, packages, purePackages, serverFolders } from './tools/layers.mjs'

const any = names => (names.length ? `(?:${names.join('|')})` : '(?!)')
const test = '(\\.(test|contract)|/(testing|zip-forge))\\.ts$'
const server = 'packages/server/src'

const betweenPackages = Object.entries(packages).map(([name, allowed]) => ({
  name: `package-${name}`,
  severity: 'error',
  from: { path: `^packages/${name}/src/`, pathNot: test },
  to: { path: '^packages/', pathNot: `^packages/${any([name, ...allowed])}/` },
}))

const betweenServerFolders = Object.entries(serverFolders).map(([name, allowed]) => ({
  name: `server-${name}`,
  severity: 'error',
  from: { path: `^${server}/${name}/`, pathNot: test },
  to: { path: `^${server}/`, pathNot: `^${server}/${any([name, ...allowed])}/` },
}))

const betweenFeatures = Object.entries(features).map(([name, allowed]) => ({
  name: `feature-${name}`,
  severity: 'error',
  from: { path: `^${server}/features/${name}/`, pathNot: test },
  to: {
    path: `^${server}/features/`,
    pathNot: [`^${server}/features/${name}/`, ...allowed.map(other => `^${server}/features/${other}/${other}\\.ts$`)],
  },
}))

export default {
  forbidden: [
    ...betweenPackages,
    ...betweenServerFolders,
    ...betweenFeatures,
    {
      name: 'cli-uses-only-the-plan-side-of-the-engine',
      severity: 'error',
      from: { path: '^packages/cli/src/', pathNot: test },
      to: { path: '^packages/engine/src/', pathNot: `^packages/engine/src/${any(engineForCli)}` },
    },
    {
      name: 'no-cycles',
      severity: 'error',
      from: { path: '^packages/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'pure-packages-touch-no-machine',
      severity: 'error',
      from: { path: `^packages/${any(purePackages)}/src/`, pathNot: test },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'sql-in-stores',
      severity: 'error',
      from: { path: `^${server}/`, pathNot: [`^${server}/db/`, '-store\\.ts$', test] },
      to: { path: 'node_modules/kysely/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'not-from-tests',
      severity: 'error',
      from: { path: '^packages/', pathNot: test },
      to: { path: test },
    },
    { name: 'unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['dist/', '/page/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs'],
    },
  },
}
