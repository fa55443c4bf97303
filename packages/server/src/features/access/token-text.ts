import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** A token as its holder has it, in its two parts. */
export interface TokenText {
  readonly id: string
  readonly secret: string
}

export function newToken(): TokenText {
  return { id: randomBytes(8).toString('hex'), secret: randomBytes(32).toString('base64url') }
}

/** Begins alike, so that scanners of source code and logs find tokens that were left there. */
export function writeToken({ id, secret }: TokenText): string {
  return `slw_${id}_${secret}`
}

/** Null for what cannot be a token. */
export function readToken(text: string): TokenText | null {
  const [, id, secret] = /^slw_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/.exec(text) ?? []
  return id === undefined || secret === undefined ? null : { id, secret }
}

/** What is kept of a secret. It has 256 random bits, so that a slow hash would protect it no better. */
export function hashOf(secret: string): string {
  return digestOf(secret).toString('hex')
}

/** Takes the same time whatever is given. */
export function hasHash(secret: string, hash: string): boolean {
  const expected = Buffer.from(hash, 'hex')
  const given = digestOf(secret)
  return expected.length === given.length && timingSafeEqual(given, expected)
}

/** Takes the same time whatever is given. */
export function isSameText(given: string, expected: string): boolean {
  return timingSafeEqual(digestOf(given), digestOf(expected))
}

// Digests have one length, so that comparing them says nothing about that of a token.
function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
