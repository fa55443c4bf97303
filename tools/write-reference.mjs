// Writes docs/reference from the tables in the code; with --check it only says what is out of date.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { format, resolveConfig } from 'prettier'
import { api } from '@slipway/protocol/api'
import { errorCodes } from '@slipway/protocol/errors'
import { eventNames, sockets } from '@slipway/protocol/events'
import { settings } from '@slipway/protocol/settings'

const folder = new URL('../docs/reference/', import.meta.url)
const isCheck = process.argv.includes('--check')

const pages = {
  'settings.md': [
    '# Settings',
    'A variable wins over `config/server.yaml` in the data folder, and that over the default. `slipway config` prints the values in force and where each comes from.',
    table(
      ['variable', 'in server.yaml', 'default', 'what it does'],
      Object.values(settings).map(({ variables, yaml, fallback, says }) => [
        variables.map(code).join(', '),
        yaml ? code(yaml) : '',
        fallback === null || fallback === '' ? '' : code(fallback),
        says,
      ]),
    ),
  ],
  'errors.md': [
    '# Error codes',
    'Every reply with a status of 400 or more is `{"error": {"code", "message", "details"?, "provider"?, "correlationId"}}`. The correlation id is also in the log. A retryable code may succeed later with the same request.',
    table(
      ['code', 'status', 'retryable'],
      Object.entries(errorCodes).map(([name, { status, retryable }]) => [code(name), status, retryable ? 'yes' : '']),
    ),
  ],
  'http.md': [
    '# HTTP and sockets',
    'The shapes are in `/openapi.json`, readable at `/docs` of a running server. Lists are arrays; the address of a further page is in the `Link` header.',
    table(
      ['route', 'scope', 'what it does', 'errors'],
      Object.values(api).map(({ method, path, aliases = [], scope, summary, errors }) => [
        [path, ...aliases].map(one => code(`${method} ${one}`)).join(', '),
        code(scope),
        summary,
        errors.map(code).join(', '),
      ]),
    ),
    `Sockets: ${Object.values(sockets)
      .map(({ path, scope }) => `${code(`WS ${path}`)} (${code(scope)})`)
      .join(
        ' and ',
      )}. Each frame is one event as JSON; \`?after=n\` continues behind the number \`seq\` of a run's events, or \`id\` of all events. A text frame \`ping\` is answered with \`pong\`. \`any\` asks for a token with whatever scopes, \`public\` for none; see [access](../operate/access.md). A browser gives the token as the subprotocol \`slipway.bearer.<token>\`.`,
    '## Events',
    eventNames.map(name => `- ${code(name)}`).join('\n'),
  ],
}

mkdirSync(folder, { recursive: true })
for (const [name, parts] of Object.entries(pages)) {
  const file = new URL(name, folder)
  const text = await format(`${parts.join('\n\n')}\n`, { ...(await resolveConfig(file.pathname)), parser: 'markdown' })
  if (!isCheck) writeFileSync(file, text)
  else if (text !== currentText(file)) {
    console.error(`docs/reference/${name} is out of date: npm run reference`)
    process.exitCode = 1
  }
}

function currentText(file) {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

function table(head, rows) {
  const line = cells => `| ${cells.map(cell => String(cell).replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n')
}

function code(text) {
  return `\`${text}\``
}
