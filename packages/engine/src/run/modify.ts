import { mappedSequence, type InferenceEntry } from '#plan/repositories'
import { PyDict } from '#value/value'
import { withEntries, type Item, type Program } from './program.ts'

/** What is different about one step in one run. */
export interface Modification {
  readonly flowIndex: string
  /** Entries that replace or join those of the working interpretation. */
  readonly changes: PyDict
  /** Text in place of the prompt that the step would read; null leaves it as it is. */
  readonly prompt: string | null
}

/** Adds a modification to those that a run has; a later one of the same step goes over an earlier one. */
export function withModification(all: readonly Modification[], added: Modification): Modification[] {
  const before = all.find(({ flowIndex }) => flowIndex === added.flowIndex)
  if (before === undefined) return [...all, added]
  const merged: Modification = {
    flowIndex: added.flowIndex,
    changes: mergedDict(before.changes, added.changes),
    prompt: added.prompt ?? before.prompt,
  }
  return all.map(one => (one === before ? merged : one))
}

/** The program that a run with these modifications executes. */
export function applyModifications(program: Program, modifications: readonly Modification[]): Program {
  const changed = new Map<number, InferenceEntry>()
  for (const { flowIndex, changes } of modifications) {
    if (changes.size === 0) continue
    for (const item of itemsAt(program, flowIndex)) changed.set(item.index, modifiedEntry(item.entry, changes))
  }
  return changed.size === 0 ? program : withEntries(program, changed)
}

export function modifiedEntry(entry: InferenceEntry, changes: PyDict): InferenceEntry {
  const workingInterpretation = mergedDict(entry.workingInterpretation, changes)
  return { ...entry, workingInterpretation, sequence: mappedSequence(entry.writtenSequence, workingInterpretation) }
}

export function itemsAt(program: Program, flowIndex: string): readonly Item[] {
  return program.slots[program.slotNumbers.get(flowIndex) ?? -1]?.items ?? []
}

function mergedDict(dict: PyDict, changes: PyDict): PyDict {
  return PyDict.of([...dict.entries(), ...changes.entries()])
}
