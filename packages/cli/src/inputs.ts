import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { unreachable } from '@slipway/kit/unreachable'
import { readJsonToPassOn } from '@slipway/sdk/json'
import { AppError } from '@slipway/protocol/errors'

/** What a `name=value` of the command line means. */
export type InputValue =
  | { readonly type: 'value'; readonly value: unknown }
  | { readonly type: 'file'; readonly path: string }
  | { readonly type: 'stdin' }

export interface InputArgument {
  readonly name: string
  readonly source: InputValue
}

/**
 * Reads `name=value`, `name=@file`, `name=@-`. A value that parses as JSON is that value, anything else is text; write
 * `name='"12"'` for the text 12. The first `=` behind the name's closing bracket divides, so `{a=b}=1` names `{a=b}`.
 */
export function parseInputArgument(argument: string): InputArgument {
  const bracket = { '{': '}', '[': ']', '<': '>' }[argument[0] ?? '']
  const closing = bracket === undefined ? -1 : argument.indexOf(`${bracket}=`)
  const at = closing >= 0 ? closing + 1 : argument.indexOf('=')
  const name = argument.slice(0, Math.max(at, 0)).trim()
  if (name === '')
    throw new AppError('input.invalid', `"${argument}" is no input. Write it as name=value or name=@file.`)
  return { name, source: parseSource(argument.slice(at + 1)) }
}

/** Reads what stands behind the name: `@file`, `@-`, JSON, or text. */
function parseSource(text: string): InputValue {
  if (text === '@-') return { type: 'stdin' }
  if (text.startsWith('@')) return { type: 'file', path: text.slice(1) }
  return { type: 'value', value: parseValue(text) }
}

export function parseValue(text: string): unknown {
  try {
    return readJsonToPassOn(text)
  } catch {
    return text
  }
}

/** The content of a file as an input: text as it is, anything else as a `data:` URL that becomes a file of the run. */
export function inputFromBytes(bytes: Uint8Array): string {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(bytes)
    if (!text.includes('\0')) return text
  } catch {
    // Not UTF-8, so it is not text.
  }
  return `data:application/octet-stream;base64,${Buffer.from(bytes).toString('base64')}`
}

interface InputFiles {
  readonly readFile: (path: string) => Promise<Uint8Array>
  readonly readStdin: () => Promise<Uint8Array>
}

/** The files and the standard input of this process. */
export const processFiles: InputFiles = {
  readFile: path => readFile(path),
  readStdin: () => buffer(process.stdin),
}

/** One value of the command line: JSON, text, `@file` or `@-`. */
export async function readValue(text: string, files: InputFiles = processFiles): Promise<unknown> {
  return contentOf(parseSource(text), files)
}

async function contentOf(source: InputValue, files: InputFiles): Promise<unknown> {
  switch (source.type) {
    case 'value':
      return source.value
    case 'file':
      return inputFromBytes(await files.readFile(source.path))
    case 'stdin':
      return inputFromBytes(await files.readStdin())
    default:
      return unreachable(source)
  }
}

/** All inputs of a run: those of an inputs file (a JSON object) first, single ones over them. */
export async function collectInputs(
  { file, single }: { readonly file?: string | undefined; readonly single: readonly string[] },
  files: InputFiles = processFiles,
): Promise<Record<string, unknown>> {
  const inputs = new Map<string, unknown>()
  if (file !== undefined) {
    const read = parseValue(new TextDecoder().decode(await files.readFile(file)))
    if (typeof read !== 'object' || read === null || Array.isArray(read))
      throw new AppError('input.invalid', `${file} is no JSON object of input names and values.`)
    for (const [name, value] of Object.entries(read)) if (!name.startsWith('_')) inputs.set(name, value)
  }
  const given = single.map(parseInputArgument)
  if (given.filter(({ source }) => source.type === 'stdin').length > 1)
    throw new AppError('input.invalid', 'Only one input can be read from standard input (@-).')
  for (const { name, source } of given) inputs.set(name, await contentOf(source, files))
  return Object.fromEntries(inputs)
}
