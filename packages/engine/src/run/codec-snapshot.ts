import { parseJson } from '@slipway/kit/json'
import type { Reference } from '#reference/reference'
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
import {
  asChoice,
  asCount,
  asList,
  asObject,
  asText,
  asTextOrNull,
  asTexts,
  UnreadableError,
  type Plain,
} from './codec-read.ts'
import type { Tracker } from './records.ts'
import type { Snapshot, SnapshotConcept, SnapshotItem } from './snapshot.ts'
import type { Hollow } from './state.ts'

const CONCEPT_STATUSES = ['empty', 'pending', 'complete'] as const
const ITEM_STATUSES = ['pending', 'in_progress', 'completed', 'failed'] as const
const DETAILS = ['success', 'condition_not_met', 'skipped'] as const

/** A snapshot as JSON; what is as in a new run is left out. */
export function snapshotToJson(snapshot: Snapshot, put: (reference: Reference) => unknown): Plain {
  const table = new ReferenceTable(put)
  const { concepts, items, truthMasks, loops, filters, late, modifications, gate, scheduler, tracker } = snapshot
  const body = {
    records: snapshot.records,
    emitted: snapshot.emitted,
    starts: snapshot.starts,
    cyclesFrom: snapshot.cyclesFrom,
    tracker: encodeTracker(tracker, items),
    concepts: concepts.map(concept => encodeConcept(concept, table)),
    items: items.map(encodeItem),
    truthMasks: unlessEmpty(truthMasks.map(({ concept, mask }) => [concept, encodeMask(mask, table)])),
    loops: unlessEmpty(loops.map(({ key, iterations }) => [key, iterations.map(one => encodeIteration(one, table))])),
    filters: unlessEmpty(filters.map(one => [one.flowIndex, one.filters.map(filter => encodeFilter(filter, table))])),
    late: unlessEmpty(late),
    modifications: unlessEmpty(modifications.map(encodeModification)),
    gate: encodeGate(gate),
    scheduler: encodeScheduler(scheduler),
  }
  return { ...body, references: table.tokens }
}

export function snapshotFromJson(value: unknown, get: (token: unknown) => Reference): Snapshot {
  const stored = asObject(value, 'A snapshot')
  const references = new ReadReferences(stored['references'], get)
  const items = asList(stored['items'], 'The steps').map(decodeItem)
  return {
    records: asCount(stored['records'], 'The number of records'),
    emitted: asCount(stored['emitted'], 'The number of events'),
    starts: asCount(stored['starts'], 'The number of starts'),
    cyclesFrom: asCount(stored['cyclesFrom'], 'A cycle'),
    tracker: decodeTracker(asObject(stored['tracker'], 'The tracker'), items),
    concepts: asList(stored['concepts'], 'The concepts').map(concept => decodeConcept(concept, references)),
    items,
    truthMasks: asList(stored['truthMasks'], 'The masks').map(entry => {
      const [concept, mask] = asList(entry, 'A mask')
      return { concept: asText(concept, 'A concept'), mask: decodeMask(mask, references) }
    }),
    loops: asList(stored['loops'], 'The loops').map(entry => {
      const [key, iterations] = asList(entry, 'A loop')
      const read = asList(iterations, 'The iterations').map(one => decodeIteration(one, references))
      return { key: asText(key, 'The key of a loop'), iterations: read }
    }),
    filters: asList(stored['filters'], 'The filters').map(entry => {
      const [flowIndex, filters] = asList(entry, 'The filters of a step')
      const read = asList(filters, 'The filters of a step').map(filter => decodeFilter(filter, references))
      return { flowIndex: asText(flowIndex, 'A flow index'), filters: read }
    }),
    late: asTexts(stored['late'], 'The late steps'),
    modifications: asList(stored['modifications'], 'The modifications').map(decodeModification),
    gate: decodeGate(stored['gate']),
    scheduler: decodeScheduler(stored['scheduler']),
  }
}

// Most of what a long run has counted is the order of its steps, so that is written in places.
function encodeTracker({ completionOrder, ...counts }: Tracker, items: readonly SnapshotItem[]): unknown {
  const places = new Map(items.map(({ flowIndex }, place) => [flowIndex, place]))
  return { ...counts, completionOrder: completionOrder.map(flowIndex => places.get(flowIndex) ?? flowIndex) }
}

function decodeTracker(stored: Plain, items: readonly SnapshotItem[]): Tracker {
  const count = (name: keyof Tracker): number => asCount(stored[name], name)
  return {
    completionOrder: asList(stored['completionOrder'], 'The order of completion').map(place => {
      if (typeof place === 'string') return place
      const item = items[asCount(place, 'The place of a step')]
      if (item === undefined) throw new UnreadableError('a step is missing')
      return item.flowIndex
    }),
    cycleCount: count('cycleCount'),
    totalExecutions: count('totalExecutions'),
    successfulExecutions: count('successfulExecutions'),
    skippedExecutions: count('skippedExecutions'),
    failedExecutions: count('failedExecutions'),
    retryCount: count('retryCount'),
  }
}

function encodeConcept({ name, reference, status, resets, given }: SnapshotConcept, table: ReferenceTable): unknown {
  return {
    name,
    reference: reference === null ? undefined : table.place(reference),
    status: status === 'empty' ? undefined : status,
    resets: resets === 0 ? undefined : resets,
    given: given === undefined ? undefined : table.place(given),
  }
}

function decodeConcept(value: unknown, references: ReadReferences): SnapshotConcept {
  const stored = asObject(value, 'A concept')
  const { reference, status, given } = stored
  const concept = {
    name: asText(stored['name'], 'The name of a concept'),
    reference: reference === undefined ? null : references.at(reference),
    status: status === undefined ? ('empty' as const) : asChoice(status, CONCEPT_STATUSES, 'The status of a concept'),
    resets: asCount(stored['resets'], 'The resets of a concept'),
  }
  return given === undefined ? concept : { ...concept, given: references.at(given) }
}

function encodeItem({ flowIndex, status, detail, result, count, executions, hollow }: SnapshotItem): unknown {
  return {
    flowIndex,
    status: status === 'pending' ? undefined : status,
    detail: detail ?? undefined,
    result: result ?? undefined,
    count: count === 0 ? undefined : count,
    executions: executions === 0 ? undefined : executions,
    hollow: hollow ?? undefined,
  }
}

function decodeItem(value: unknown): SnapshotItem {
  const stored = asObject(value, 'A step')
  const { status, detail, hollow } = stored
  return {
    flowIndex: asText(stored['flowIndex'], 'A flow index'),
    status: status === undefined ? 'pending' : asChoice(status, ITEM_STATUSES, 'The status of a step'),
    detail: detail === undefined ? null : asChoice(detail, DETAILS, 'The detail of a step'),
    result: asTextOrNull(stored['result'], 'The result of a step'),
    count: asCount(stored['count'], 'The count of a step'),
    executions: asCount(stored['executions'], 'The executions of a step'),
    hollow: hollow === undefined ? null : decodeHollow(asObject(hollow, 'The error of a step')),
  }
}

function decodeHollow({ error, execution }: Plain): Hollow {
  return { error: asText(error, 'An error'), execution: asCount(execution, 'An execution') }
}

export function parseStored(text: string): unknown {
  try {
    return parseJson(text)
  } catch {
    throw new UnreadableError('it is no JSON')
  }
}
