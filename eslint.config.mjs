import tseslint from 'typescript-eslint'

const reasons = [
  { selector: 'ExportDefaultDeclaration', message: 'Export by name: a name is searched for, a default is guessed.' },
  { selector: 'ExportAllDeclaration', message: 'Import from the file that declares the thing.' },
  {
    selector: "CallExpression[callee.object.name='JSON'][callee.property.name='parse']",
    message: 'Check what comes from outside: parseJson of @slipway/kit/json and a schema, or readJson of the engine.',
  },
]
const environment = {
  selector: "MemberExpression[object.name='process'][property.name='env']",
  message: 'Settings are read once, in app/config.ts.',
}
const impure = [
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: 'The engine has no clock.' },
  { selector: "NewExpression[callee.name='Date']", message: 'The engine has no clock.' },
  {
    selector: "MemberExpression[object.name='Math'][property.name='random']",
    message: 'The engine has no randomness.',
  },
  {
    selector: 'CallExpression[callee.name=/^(setTimeout|setInterval|setImmediate|fetch)$/]',
    message: 'The engine waits for nothing and calls nobody.',
  },
  { selector: "MemberExpression[object.name='crypto']", message: 'The engine has no randomness.' },
]

export default tseslint.config(
  {
    ignores: [
      '**/node_modules',
      '**/dist',
      'data',
      '**/page/*.js',
      '**/docs/*.js',
      'bench/node_modules',
      'examples/policies/*/assembly',
      'packages/protocol/src/generated',
      'vitest.config.ts',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  {
    files: ['packages/**/*.ts', 'tests/**/*.ts', 'examples/**/*.ts', 'bench/*.ts'],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { project: './tsconfig.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      'max-lines': ['error', { max: 500, skipBlankLines: true, skipComments: true }],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
      complexity: ['error', 15],
      'no-restricted-syntax': ['error', ...reasons, environment],
    },
  },
  {
    files: ['packages/engine/src/**/*.ts', 'packages/protocol/src/**/*.ts'],
    ignores: ['**/*.test.ts', 'packages/engine/src/conformance/**'],
    rules: { 'no-restricted-syntax': ['error', ...reasons, environment, ...impure] },
  },
  {
    files: ['packages/server/src/app/config.ts', 'packages/cli/src/environment.ts'],
    rules: { 'no-restricted-syntax': ['error', ...reasons] },
  },
  {
    files: ['packages/kit/src/json.ts'],
    rules: { 'no-restricted-syntax': 'off' },
  },
  {
    files: ['**/*.{test,contract}.ts', 'tests/**/*.ts', 'examples/**/*.ts', 'bench/*.ts'],
    rules: {
      'max-lines-per-function': 'off',
      'no-console': 'off',
      '@typescript-eslint/explicit-module-boundary-types': 'off',
      'no-restricted-syntax': ['error', ...reasons.slice(0, 2)],
    },
  },
  { files: ['packages/cli/src/**/*.ts'], rules: { 'no-console': 'off' } },
)
