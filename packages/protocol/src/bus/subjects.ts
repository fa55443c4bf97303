import { Topic } from './topics.ts'

const prefix = 'slipway'
const plain = /^[A-Za-z0-9-]$/
const emptyToken = '_'

/**
 * The name of an organisation's topic in one flat space that all organisations share, as brokers have it:
 * `slipway.<organisation>.<topic>`. Different pairs have different subjects, and `parseSubject` gives the pair back. The
 * organisation is one token whatever is in it, so that no wildcard reaches from one into another. Throws `RangeError` for
 * text with half a surrogate pair, which has no bytes, and for what is no topic.
 */
export function subjectOf(organisation: string, topic: string): string {
  if (!Topic.safeParse(topic).success) throw new RangeError(`${topic} is no topic.`)
  return `${prefix}.${encodeToken(organisation)}.${topic}`
}

/** The pair that `subjectOf` was given, or null for a subject that it never gives. */
export function parseSubject(subject: string): { readonly organisation: string; readonly topic: string } | null {
  const match = /^slipway\.([A-Za-z0-9_-]+)\.(.+)$/.exec(subject)
  const [, token = '', topic = ''] = match ?? []
  const organisation = match ? decodeToken(token) : null
  if (organisation === null || !Topic.safeParse(topic).success) return null
  return { organisation, topic }
}

/** Where whoever reaches the broker alone opens a connection; whose it is, the token says. */
export const helloSubject = `${prefix}._hello`

export interface ConnectionSubjects {
  /** Frames of the client. */
  readonly toServer: string
  /** Frames of the server. */
  readonly toClient: string
}

/** Of one connection over a broker. No word of a topic begins with `_`, so that these are no topic's subjects. */
export function connectionSubjects(organisation: string, connection: string): ConnectionSubjects {
  const space = `${prefix}.${encodeToken(organisation)}`
  return { toServer: `${space}._to.${connection}`, toClient: `${space}._from.${connection}` }
}

export interface JobSubjects {
  /** Where the broker keeps jobs for the operator. */
  readonly kept: string
  /** Where it hands them over. */
  readonly handed: string
}

/** Of the jobs that a broker has for an operator. */
export function jobSubjects(organisation: string, operator: string): JobSubjects {
  const space = `${prefix}.${encodeToken(organisation)}`
  const token = encodeToken(operator)
  return { kept: `${space}._queue.${token}`, handed: `${space}._jobs.${token}` }
}

/** Where a broker keeps jobs for all operators of the organisation. */
export function allKept(organisation: string): string {
  return `${prefix}.${encodeToken(organisation)}._queue.*`
}

/** Letters, digits and `-` stand for themselves, every other byte of UTF-8 is `_` and two hexadecimal digits. */
export function encodeToken(text: string): string {
  if (!text.isWellFormed()) throw new RangeError('Text with half a surrogate pair has no token.')
  if (text === '') return emptyToken
  let token = ''
  for (const byte of new TextEncoder().encode(text)) {
    const character = String.fromCharCode(byte)
    token += plain.test(character) ? character : `_${byte.toString(16).padStart(2, '0')}`
  }
  return token
}

/** The text that `encodeToken` was given, or null for a token that it never gives. */
export function decodeToken(token: string): string | null {
  if (token === emptyToken) return ''
  if (!/^([A-Za-z0-9-]|_[0-9a-f]{2})+$/.test(token)) return null
  const bytes = Array.from(token.matchAll(/_([0-9a-f]{2})|(.)/g), ([, hex, character = '']) =>
    hex === undefined ? character.charCodeAt(0) : Number.parseInt(hex, 16),
  )
  const text = decoded(Uint8Array.from(bytes))
  // Other spellings of a text, such as an escaped letter, are none of ours.
  return text !== null && encodeToken(text) === token ? text : null
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}
