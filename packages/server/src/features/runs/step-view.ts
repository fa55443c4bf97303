import { decodeRecord } from '@slipway/engine/run/codec'
import type { CommandSummary } from '@slipway/engine/run/commands'
import type { CommandRecord, StepRecord } from '@slipway/engine/run/records'
import type { Reference } from '@slipway/engine/reference/reference'
import { unreachable } from '@slipway/kit/unreachable'
import type { StepView } from '@slipway/protocol/debugging'
import type { StepRow } from './journal-store.ts'
import { isWrite } from './write-log.ts'

const unread: Reference = { axes: [], shape: [], data: null }

/** A record as lists show it: what it did, without the values that it wrote. */
export function toStepView({ record: text, at }: StepRow): StepView {
  const record = decodeRecord(text, () => unread)
  const shared = {
    n: record.n,
    cycle: record.cycle,
    changed: record.changes.filter(isWrite).map(({ name }) => name),
    at: new Date(at).toISOString(),
  }
  return record.kind === 'step' ? { ...shared, ...stepParts(record) } : { ...shared, ...commandParts(record) }
}

type Parts = Omit<StepView, 'n' | 'cycle' | 'changed' | 'at'>

function stepParts(record: StepRecord): Parts {
  return {
    kind: 'step',
    flow_index: record.flowIndex,
    execution: record.execution,
    sequence: record.sequence,
    concept_name: record.concept,
    status: statusOf(record),
    detail: record.detail,
    errors: record.errors.map(({ path, name, message }) => ({ path, name, message })),
  }
}

function commandParts({ command }: CommandRecord): Parts {
  return {
    kind: 'command',
    flow_index: 'flowIndex' in command ? command.flowIndex : null,
    execution: null,
    sequence: null,
    concept_name: command.type === 'override' ? command.concept : null,
    status: command.type,
    detail: commandInWords(command),
    errors: [],
  }
}

/** How an execution ended: `completed`, `pending` for one that goes on later, `failed` or `skipped`. */
export function statusOf({ hollow, status, detail }: Pick<StepRecord, 'hollow' | 'status' | 'detail'>): string {
  if (hollow) return 'failed'
  return status === 'completed' && detail === 'skipped' ? 'skipped' : status
}

function commandInWords(command: CommandSummary): string {
  switch (command.type) {
    case 'cancel':
      return `cancelled: ${command.reason}`
    case 'continue':
      return 'let go on'
    case 'step':
      return 'let one step start'
    case 'clear_breakpoints':
      return 'cleared all breakpoints'
    case 'set_breakpoint':
      return `set a breakpoint at ${command.flowIndex}`
    case 'clear_breakpoint':
      return `cleared the breakpoint at ${command.flowIndex}`
    case 'run_to':
      return `let go on to ${command.flowIndex}`
    case 'rerun':
      return `reset ${command.flowIndex} and all that depends on it`
    case 'override':
      return `gave ${command.concept} another value${command.rerunDependents ? ' and reset all that depends on it' : ''}`
    case 'modify':
      return `changed step ${command.flowIndex}${command.retry ? ' and reset it with all that depends on it' : ''}`
    case 'restore':
      return `went back to checkpoint ${command.record}`
    default:
      return unreachable(command)
  }
}
