import type { Reference } from '#reference/reference'
import { decodeValue, encodeValue } from '#value/codec'
import type { StepError } from '#sequence/step'
import {
  decodeFilter,
  decodeGate,
  decodeIteration,
  decodeMask,
  decodeModification,
  decodeScheduler,
  encodeFilter,
  encodeGate,
  encodeIteration,
  encodeMask,
  encodeModification,
  encodeScheduler,
  ReadReferences,
  ReferenceTable,
  unlessEmpty,
} from './codec-parts.ts'
import { asChoice, asCount, asList, asObject, asText, asTexts, type Plain } from './codec-read.ts'
import { parseStored, snapshotFromJson, snapshotToJson } from './codec-snapshot.ts'
import type { CommandSummary } from './commands.ts'
import type {
  CommandRecord,
  ConceptChange,
  Detail,
  FilterChange,
  ItemChange,
  LoopChange,
  RunRecord,
  StepRecord,
} from './records.ts'
import type { Snapshot } from './snapshot.ts'

/**
 * How states and records of runs are kept. What they hold of values goes through two functions of the caller: `put`
 * gives the JSON that stands for a reference, such as its content or a hash, and `get` the reference for that JSON. One
 * reference is put once for each text. Reading throws `UnreadableError` for what was not written here.
 */
export type PutReference = (reference: Reference) => unknown
export type GetReference = (token: unknown) => Reference

/** A reference as JSON that keeps the Python types of its cells: axes, shape, and the data as text. */
export function encodeReference({ axes, shape, data }: Reference): unknown {
  return [axes, shape, encodeValue(data)]
}

export function decodeReference(token: unknown): Reference {
  const [axes, shape, data] = asList(token, 'A reference')
  return {
    axes: asTexts(axes, 'The axes of a reference'),
    shape: asList(shape, 'The shape of a reference').map(size => asCount(size, 'The size of an axis')),
    data: decodeValue(asText(data, 'The data of a reference')),
  }
}

export function encodeSnapshot(snapshot: Snapshot, put: PutReference): string {
  return JSON.stringify(snapshotToJson(snapshot, put))
}

export function decodeSnapshot(text: string, get: GetReference): Snapshot {
  return snapshotFromJson(parseStored(text), get)
}

export function encodeRecord(record: RunRecord, put: PutReference): string {
  return JSON.stringify(record.kind === 'step' ? stepToJson(record, put) : commandToJson(record, put))
}

export function decodeRecord(text: string, get: GetReference): RunRecord {
  const stored = asObject(parseStored(text), 'A record')
  const references = new ReadReferences(stored['references'], get)
  return asChoice(stored['kind'], ['step', 'command'], 'The kind of a record') === 'step'
    ? stepFromJson(stored, references)
    : commandFromJson(stored, references, get)
}

function stepToJson(record: StepRecord, put: PutReference): Plain {
  const table = new ReferenceTable(put)
  const { kind, n, cycle, flowIndex, execution, sequence, concept, status, detail, truthMask, hollow, errors } = record
  const body = {
    kind,
    n,
    cycle,
    flowIndex,
    execution,
    sequence,
    concept,
    status,
    detail: detail ?? undefined,
    ...sharedToJson(record, table),
    truthMask: truthMask === null ? undefined : encodeMask(truthMask, table),
    hollow: hollow ? true : undefined,
    errors: unlessEmpty(errors),
  }
  return { ...body, references: unlessEmpty(table.tokens) }
}

const DETAILS = ['success', 'condition_not_met', 'skipped'] as const

function stepFromJson(stored: Plain, references: ReadReferences): StepRecord {
  const { truthMask } = stored
  return {
    kind: 'step',
    n: asCount(stored['n'], 'The number of a record'),
    cycle: asCount(stored['cycle'], 'A cycle'),
    flowIndex: asText(stored['flowIndex'], 'A flow index'),
    execution: asCount(stored['execution'], 'An execution'),
    sequence: asText(stored['sequence'], 'A sequence'),
    concept: asText(stored['concept'], 'A concept'),
    status: asChoice(stored['status'], ['completed', 'pending', 'failed'], 'The status of a step'),
    detail: detailOf(stored['detail']),
    ...sharedFromJson(stored, references),
    truthMask: truthMask === undefined ? null : decodeMask(truthMask, references),
    hollow: stored['hollow'] === true,
    errors: asList(stored['errors'], 'The errors').map(decodeError),
  }
}

function detailOf(value: unknown): Detail | null {
  return value === undefined || value === null ? null : asChoice(value, DETAILS, 'The detail of a step')
}

function decodeError(value: unknown): StepError {
  const { path, name, message } = asObject(value, 'An error')
  return { path: asText(path, 'A path'), name: asText(name, 'A name'), message: asText(message, 'A message') }
}

function commandToJson(record: CommandRecord, put: PutReference): Plain {
  const table = new ReferenceTable(put)
  const { kind, n, cycle, command, given, truthMasks, givenUp, cyclesFrom, gate, scheduler } = record
  const body = {
    kind,
    n,
    cycle,
    command,
    ...sharedToJson(record, table),
    given: unlessEmpty(given),
    truthMasks: unlessEmpty(truthMasks.map(one => [one.concept, one.mask && encodeMask(one.mask, table)])),
    givenUp: unlessEmpty(givenUp.map(({ flowIndex, execution }) => [flowIndex, execution])),
    cyclesFrom,
    gate: encodeGate(gate),
    scheduler: encodeScheduler(scheduler),
    modification: record.modification === null ? undefined : encodeModification(record.modification),
    snapshot: record.snapshot === null ? undefined : snapshotToJson(record.snapshot, put),
  }
  return { ...body, references: unlessEmpty(table.tokens) }
}

function commandFromJson(stored: Plain, references: ReadReferences, get: GetReference): CommandRecord {
  const { modification, snapshot } = stored
  return {
    kind: 'command',
    n: asCount(stored['n'], 'The number of a record'),
    cycle: asCount(stored['cycle'], 'A cycle'),
    command: decodeSummary(asObject(stored['command'], 'A command')),
    ...sharedFromJson(stored, references),
    given: asTexts(stored['given'], 'What is given'),
    truthMasks: asList(stored['truthMasks'], 'The masks').map(entry => {
      const [concept, mask] = asList(entry, 'A mask')
      return { concept: asText(concept, 'A concept'), mask: mask === null ? null : decodeMask(mask, references) }
    }),
    givenUp: asList(stored['givenUp'], 'What was given up').map(entry => {
      const [flowIndex, execution] = asList(entry, 'What was given up')
      return { flowIndex: asText(flowIndex, 'A flow index'), execution: asCount(execution, 'An execution') }
    }),
    cyclesFrom: asCount(stored['cyclesFrom'], 'A cycle'),
    gate: decodeGate(stored['gate']),
    scheduler: decodeScheduler(stored['scheduler']),
    modification: modification === undefined ? null : decodeModification(modification),
    snapshot: snapshot === undefined ? null : snapshotFromJson(snapshot, get),
  }
}

const COMMANDS = [
  'cancel',
  'set_breakpoint',
  'clear_breakpoint',
  'clear_breakpoints',
  'continue',
  'step',
  'run_to',
  'override',
  'rerun',
  'modify',
  'restore',
] as const

function decodeSummary(stored: Plain): CommandSummary {
  const type = asChoice(stored['type'], COMMANDS, 'The type of a command')
  const flowIndex = (): string => asText(stored['flowIndex'], 'A flow index')
  switch (type) {
    case 'cancel':
      return { type, reason: asText(stored['reason'], 'A reason') }
    case 'set_breakpoint':
    case 'clear_breakpoint':
    case 'run_to':
    case 'rerun':
      return { type, flowIndex: flowIndex() }
    case 'override':
      return {
        type,
        concept: asText(stored['concept'], 'A concept'),
        rerunDependents: stored['rerunDependents'] === true,
      }
    case 'modify':
      return { type, flowIndex: flowIndex(), retry: stored['retry'] === true }
    case 'restore':
      return { type, record: asCount(stored['record'], 'The number of a record') }
    default:
      return { type }
  }
}

type Shared = Pick<CommandRecord, 'changes' | 'items' | 'clearedLoops' | 'loops' | 'filters' | 'late'>

function sharedToJson(record: Shared, table: ReferenceTable): Plain {
  return {
    changes: unlessEmpty(record.changes.map(change => encodeChange(change, table))),
    items: unlessEmpty(encodeItems(record.items)),
    clearedLoops: unlessEmpty(record.clearedLoops),
    loops: unlessEmpty(
      record.loops.map(({ key, kept, added }) => [key, kept, ...added.map(one => encodeIteration(one, table))]),
    ),
    filters: unlessEmpty(
      record.filters.map(one => [one.flowIndex, one.taken, ...one.added.map(filter => encodeFilter(filter, table))]),
    ),
    late: unlessEmpty(record.late),
  }
}

function sharedFromJson(stored: Plain, references: ReadReferences): Shared {
  return {
    changes: asList(stored['changes'], 'The changes').map(change => decodeChange(change, references)),
    items: asList(stored['items'], 'The items').flatMap(decodeItems),
    clearedLoops: asTexts(stored['clearedLoops'], 'The loops'),
    loops: asList(stored['loops'], 'The loops').map((entry): LoopChange => {
      const [key, kept, ...added] = asList(entry, 'A loop')
      return {
        key: asText(key, 'The key of a loop'),
        kept: asCount(kept, 'The iterations of a loop'),
        added: added.map(one => decodeIteration(one, references)),
      }
    }),
    filters: asList(stored['filters'], 'The filters').map((entry): FilterChange => {
      const [flowIndex, taken, ...added] = asList(entry, 'A filter')
      return {
        flowIndex: asText(flowIndex, 'A flow index'),
        taken: asCount(taken, 'The filters of a step'),
        added: added.map(filter => decodeFilter(filter, references)),
      }
    }),
    late: asTexts(stored['late'], 'The late steps'),
  }
}

/** Name, status, and the place of the reference: null when it was cleared, and with a count when it has grown. */
function encodeChange({ name, reference, grown, status }: ConceptChange, table: ReferenceTable): unknown {
  if (grown !== undefined) return [name, status ?? null, table.place(grown.added), grown.kept]
  if (reference === undefined) return [name, status ?? null]
  return [name, status ?? null, reference && table.place(reference)]
}

const CONCEPT_STATUSES = ['empty', 'pending', 'complete'] as const

function decodeChange(value: unknown, references: ReadReferences): ConceptChange {
  const [name, status, place, kept] = asList(value, 'A change')
  const change: ConceptChange = {
    name: asText(name, 'A concept'),
    ...(status === null ? {} : { status: asChoice(status, CONCEPT_STATUSES, 'The status of a concept') }),
  }
  if (place === undefined) return change
  if (place === null) return { ...change, reference: null }
  const reference = references.at(place)
  return kept === undefined
    ? { ...change, reference }
    : { ...change, grown: { kept: asCount(kept, 'A count'), added: reference } }
}

// A loop resets all of its body alike, so items of the same change stand together.
function encodeItems(items: readonly ItemChange[]): unknown[] {
  const groups: { readonly key: string; readonly group: unknown[] }[] = []
  for (const { flowIndex, reason, status, detail = null, inLoop = false } of items) {
    const key = `${reason} ${status} ${detail} ${inLoop}`
    const last = groups.at(-1)
    if (last?.key === key) last.group.push(flowIndex)
    else groups.push({ key, group: [[reason, status, detail, inLoop], flowIndex] })
  }
  return groups.map(({ group }) => group)
}

function decodeItems(value: unknown): ItemChange[] {
  const [head, ...flowIndexes] = asList(value, 'Items')
  const [reason, status, detail, inLoop] = asList(head, 'The change of items')
  const read = detailOf(detail)
  const change = {
    reason: asChoice(reason, ['skipped', 'reset', 'rerun', 'overridden'], 'The reason of a change'),
    status: asChoice(status, ['pending', 'in_progress', 'completed', 'failed'], 'The status of a step'),
    ...(read === null ? {} : { detail: read }),
    ...(inLoop === true ? { inLoop: true as const } : {}),
  }
  return flowIndexes.map(flowIndex => ({ flowIndex: asText(flowIndex, 'A flow index'), ...change }))
}
