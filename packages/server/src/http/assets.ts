import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { AppError } from '@slipway/protocol/errors'
import { route } from '@slipway/protocol/route'
import { z } from 'zod'
import { handle, type Handler } from './handler.ts'
import { textReply } from './reply.ts'

const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** The server's own pages load their own files and speak to this server; nothing else, and nobody frames them. */
const pagePolicy =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/** Serves one file of the server itself under one or several paths. It is read on first use and holds no data. */
export function assetRoute(paths: readonly [string, ...string[]], file: URL): Handler {
  const [path, ...aliases] = paths
  let text: Promise<string> | null = null
  const declared = route({
    method: 'GET',
    path,
    aliases,
    summary: 'A file of the page.',
    tag: 'system',
    open: true,
    reply: z.unknown(),
    replyMedia: 'html',
    errors: [],
  })
  return handle(declared, async () => {
    text ??= readFile(file, 'utf8')
    const content = await text.catch((cause: unknown) => {
      text = null
      throw new AppError('route.unknown', 'The page is not part of this installation.', { cause })
    })
    const mediaType = mediaTypes[extname(file.pathname)] ?? 'text/plain; charset=utf-8'
    return textReply(content, mediaType, { 'content-security-policy': pagePolicy, 'cache-control': 'no-cache' })
  })
}
