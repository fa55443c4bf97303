import { randomBytes } from 'node:crypto'
import type { Command as EngineCommand } from '@slipway/engine/run/commands'
import { decodeSnapshot, encodeSnapshot } from '@slipway/engine/run/codec'
import { decodeValue, encodeValue, toPlain } from '@slipway/engine/value/codec'
import type { PyDict } from '@slipway/engine/value/value'
import { parseJson } from '@slipway/kit/json'
import type { RunCommand } from '@slipway/protocol/debugging'
import type { CommandRow } from './journal-store.ts'
import type { ValueReader, ValueWriter } from './run-values.ts'

/** Why a run is ended from outside. */
export type CancelKind = 'cancelled' | 'timeout'

/** What a person asks of a run, with what only the server knows of it. */
export interface AskedCommand {
  readonly command: EngineCommand
  /** Of a `cancel`: the reason that the run's end is to give. */
  readonly cancelAs: CancelKind | null
  /** Of a `restore`: the number of the record that it goes back to. */
  readonly toStep: number | null
}

export interface WaitingCommand extends AskedCommand {
  readonly id: string
}

export interface RecordedCommand extends AskedCommand {
  /** Executions that the engine had started when it was carried out. */
  readonly starts: number
}

// Sorts by time, so that commands of one moment keep their order.
export function newCommandId(now: number): string {
  return `cmd_${Math.floor(now * 1000)
    .toString(36)
    .padStart(11, '0')}${randomBytes(4).toString('hex')}`
}

/** A new command as its row, waiting to be taken up. */
export function commandRow(
  asked: AskedCommand,
  at: { readonly runId: string; readonly by: string; readonly now: number; readonly values: ValueWriter },
): CommandRow {
  return {
    id: newCommandId(at.now),
    run_id: at.runId,
    n: null,
    starts: null,
    type: asked.command.type,
    command: JSON.stringify({ ...encoded(asked.command, at.values), cancelAs: asked.cancelAs, toStep: asked.toStep }),
    by: at.by,
    asked_at: Math.round(at.now),
    applied_at: null,
    refusal: null,
  }
}

function encoded(command: EngineCommand, values: ValueWriter): object {
  switch (command.type) {
    case 'override':
      return { ...command, value: { axes: command.value.axes, data: encodeValue(command.value.data) } }
    case 'modify':
      return { ...command, changes: encodeValue(command.changes) }
    case 'restore':
      return { ...command, snapshot: encodeSnapshot(command.snapshot, values.put) }
    default:
      return command
  }
}

interface Encoded {
  readonly type: EngineCommand['type']
  readonly value?: { readonly axes: readonly string[] | null; readonly data: string }
  readonly changes?: string
  readonly snapshot?: string
  readonly cancelAs: CancelKind | null
  readonly toStep: number | null
}

/** Reads what `commandRow` wrote; `values` has what the text refers to. */
export function readCommand(text: string, values: ValueReader): AskedCommand {
  const { cancelAs, toStep, ...rest } = parseJson(text) as Encoded
  return { command: decoded(rest, values), cancelAs, toStep }
}

function decoded(command: Omit<Encoded, 'cancelAs' | 'toStep'>, values: ValueReader): EngineCommand {
  const { value, changes, snapshot, ...rest } = command
  if (value) return { ...rest, value: { axes: value.axes, data: decodeValue(value.data) } } as EngineCommand
  if (changes !== undefined) return { ...rest, changes: decodeValue(changes) as PyDict } as EngineCommand
  if (snapshot !== undefined) return { ...rest, snapshot: decodeSnapshot(snapshot, values.get) } as EngineCommand
  return rest as EngineCommand
}

/** A command as clients see it. */
export function toRunCommand(row: CommandRow): RunCommand {
  return {
    command_id: row.id,
    run_id: row.run_id,
    type: row.type,
    details: detailsOf(row.command),
    by: row.by,
    asked_at: new Date(row.asked_at).toISOString(),
    status: row.applied_at === null ? 'waiting' : row.refusal === null ? 'applied' : 'refused',
    applied_at: row.applied_at === null ? null : new Date(row.applied_at).toISOString(),
    n: row.n,
    message: row.refusal,
  } as RunCommand
}

function detailsOf(text: string): unknown {
  const { type: _type, snapshot: _snapshot, cancelAs, toStep, value, changes, ...rest } = parseJson(text) as Encoded
  const plain = (encodedValue: string): unknown => toPlain(decodeValue(encodedValue))
  return {
    ...rest,
    ...(value && { axes: value.axes, new_value: plain(value.data) }),
    ...(changes !== undefined && { changes: plain(changes) }),
    ...(cancelAs !== null && { ends_as: cancelAs }),
    ...(toStep !== null && { step: toStep }),
  }
}
