import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import { AppError } from '@slipway/protocol/errors'
import { route } from '@slipway/protocol/route'
import { z } from 'zod'
import { handle, type Handler } from './handler.ts'
import { textReply, type Reply } from './reply.ts'

const mediaTypes: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** The server's own pages load their own files and speak to this server; nothing else, and nobody frames them. */
const pagePolicy =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

/** One file of the server itself under one or several paths. It holds nobody's data, so it asks for no token. */
export function assetRoute(paths: readonly [string, ...string[]], file: URL): Handler {
  const [path, ...aliases] = paths
  const declared = route({ ...assetOf(path), aliases })
  return handle(declared, () => assetReply(file))
}

/** The files directly in a folder of the server itself. */
export function assetFolder(path: string, folder: URL): Handler {
  const params = z.object({ file: z.string().regex(/^[\w-]+\.(?:js|css|svg)$/) })
  return handle(route({ ...assetOf(`${path}/:file`), params }), ({ params: { file } }) =>
    assetReply(new URL(file, folder)),
  )
}

function assetOf(path: string) {
  return {
    method: 'GET',
    path,
    summary: 'A file of the page.',
    tag: 'system',
    scope: 'public',
    reply: z.unknown(),
    replyMedia: 'html',
    errors: ['route.unknown'],
  } as const
}

const kept = new Map<string, Promise<string>>()

async function assetReply(file: URL): Promise<Reply<never>> {
  const known = kept.get(file.href) ?? readFile(file, 'utf8')
  kept.set(file.href, known)
  const content = await known.catch((cause: unknown) => {
    kept.delete(file.href)
    throw new AppError('route.unknown', 'This installation has no such file.', { cause })
  })
  const mediaType = mediaTypes[extname(file.pathname)] ?? 'text/plain; charset=utf-8'
  return textReply(content, mediaType, { 'content-security-policy': pagePolicy, 'cache-control': 'no-cache' })
}
