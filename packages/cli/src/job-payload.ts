import { readFile } from 'node:fs/promises'
import { buffer } from 'node:stream/consumers'
import { readJsonToPassOn } from '@slipway/sdk/json'
import type { SubmitOptions } from '@slipway/sdk/jobs'
import { Option, type Command } from 'commander'
import { parseValue } from './inputs.ts'
import { positive, whole } from './options.ts'

export interface JobFlags {
  readonly payload?: string
  readonly schema?: string
  readonly priority?: number
  readonly order?: string
  readonly attempts?: number
}

/** What a job is, of `jobs submit` and of `schedules create`. */
export function addJobTerms(command: Command): Command {
  return command
    .option(
      '-p, --payload <json>',
      'payload: JSON or text, @file, or @- for standard input; what is no JSON goes as bytes',
    )
    .option('--schema <id>', 'what the payload is: arqonbus.<domain>.<thing>.v<N>')
    .addOption(new Option('--priority <n>', 'from -100 to 100; higher goes first').argParser(whole))
    .option('--order <key>', 'jobs of one key are done one at a time, in their order')
    .option('--attempts <n>', 'how often it is tried before it is a dead letter', positive)
}

export async function jobTerms(flags: JobFlags): Promise<SubmitOptions> {
  return {
    ...(flags.payload === undefined ? {} : await payloadOf(flags.payload)),
    schema: flags.schema,
    priority: flags.priority,
    orderingKey: flags.order,
    maxAttempts: flags.attempts,
  }
}

type Payload = Pick<SubmitOptions, 'payload' | 'payloadBase64'>

async function payloadOf(given: string): Promise<Payload> {
  if (!given.startsWith('@')) return { payload: parseValue(given) }
  const content = given === '@-' ? await buffer(process.stdin) : await readFile(given.slice(1))
  const json = jsonOf(textOf(content))
  return json === undefined ? { payloadBase64: content.toString('base64') } : { payload: json }
}

function textOf(content: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content)
  } catch {
    return ''
  }
}

/** Undefined for what is no JSON. */
function jsonOf(text: string): unknown {
  try {
    return readJsonToPassOn(text)
  } catch {
    return undefined
  }
}
