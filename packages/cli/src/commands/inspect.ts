import type { ConceptState, ReferencePage, ValueChange } from '@slipway/protocol/debugging'
import { writeJson } from '@slipway/sdk/json'
import type { Command } from 'commander'
import { AppError } from '@slipway/protocol/errors'
import { exitCodes, type ExitCode } from '../exit-codes.ts'
import { axisPlace, count, counts, positive } from '../options.ts'
import type { Cli, Session } from '../session.ts'
import { localTime, oneLine, plain, table } from '../text.ts'

interface InspectFlags {
  readonly at: Readonly<Record<string, number>>
  readonly step?: number
  readonly offset?: readonly number[]
  readonly limit?: readonly number[]
  readonly history?: boolean
  readonly full?: boolean
  readonly after?: number
}

export function addInspect(program: Command, cli: Cli): void {
  program
    .command('inspect')
    .description('Show the concepts of a run, or the cells of one, now or at a checkpoint.')
    .argument('<run>', 'id of the run')
    .argument('[concept]', 'its name, or its natural name')
    .option('--step <n>', 'at this checkpoint', count)
    .option(
      '--at <axis=index>',
      'only the cells at this index of an axis, from 0; may be given for several axes',
      axisPlace,
      {},
    )
    .option('--offset <n,…>', 'first index along each remaining axis', counts)
    .option('--limit <n,…>', 'number of cells along each remaining axis; with --history the number of values', counts)
    .option('--history', 'every value that the concept has had')
    .option('--after <n>', 'with --history: the values behind this checkpoint', positive)
    .option('--full', 'do not shorten values')
    .action(
      cli.act((session, id: string, concept: string | undefined, flags: InspectFlags) => {
        if (concept === undefined) return showConcepts(session, id, flags)
        return flags.history ? showHistory(session, { id, concept }, flags) : showCells(session, { id, concept }, flags)
      }),
    )
}

async function showConcepts(session: Session, id: string, flags: InspectFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson, signal } = session
  if (flags.history || flags.offset || flags.limit || Object.keys(flags.at).length > 0)
    throw new AppError('input.invalid', 'Name a concept to see its cells or its history.')
  const concepts = await client.references(id, { step: flags.step, signal })
  if (json) printJson(concepts)
  else if (concepts.length === 0) terminal.print('This plan has no concepts.')
  else
    terminal.print(
      table(['CONCEPT', 'STATUS', 'KIND', 'SHAPE'], concepts.map(conceptRow), { width: terminal.columns() }),
    )
  return exitCodes.done
}

function conceptRow(concept: ConceptState): string[] {
  const kind = concept.is_ground ? 'ground' : concept.is_final ? 'final' : ''
  return [concept.concept_name, concept.status, kind, concept.has_reference ? shapeText(concept) : 'no value']
}

// What plans write where a value has no axis of its own.
const noAxis = '_none_axis'

/** `2 row × 3 column`; a value without axes is one cell. */
function shapeText({ axes, shape }: Pick<ConceptState, 'axes' | 'shape'>): string {
  return axes.every(axis => axis === noAxis)
    ? 'one cell'
    : axes.map((axis, at) => `${shape[at] ?? 0} ${axis}`).join(' × ')
}

interface Place {
  readonly id: string
  readonly concept: string
}

async function showCells(session: Session, { id, concept }: Place, flags: InspectFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson, signal } = session
  const { step, at, offset, limit } = flags
  const page = await client.reference(id, concept, { step, at, offset, limit, signal })
  if (json) {
    printJson(page)
    return exitCodes.done
  }
  cellLines(page, { width: terminal.columns(), full: flags.full ?? false, paint: terminal.paint }).forEach(
    terminal.print,
  )
  const further = nextOffset(page)
  if (further !== null) terminal.note(`Further cells: the same with --offset ${further.join(',')}`)
  return exitCodes.done
}

export interface CellStyle {
  readonly width: number
  readonly full: boolean
  readonly paint: Session['terminal']['paint']
}

/** A heading, and below it one line for each cell with its index along every axis that is not fixed. */
export function cellLines(reference: ReferencePage, { width, full, paint }: CellStyle): string[] {
  const { concept_name: name, has_reference: has, axes, shape, fixed, page, written_at: written } = reference
  const origin = written === null ? 'given from the start' : `written at step ${written}`
  const taken = Object.entries(fixed).map(([axis, index]) => `, ${axis} ${index}`)
  const heading = paint('bold', oneLine(name))
  if (!has) return [`${heading}: no value (${reference.status})`]
  const lines = [`${heading}: ${oneLine(shapeText(reference) + taken.join(''))}, ${origin}`]
  const cells = cellsOf(page.data, page.axes.length, page.offset)
  const [only] = cells
  if (only !== undefined && page.axes.every(axis => shape[axes.indexOf(axis)] === 1))
    return [...lines, ...indented(valueText(only.value, true), 2)]
  if (cells.length === 0) return [...lines, '  (no cells)']
  if (full)
    return lines.concat(
      cells.flatMap(({ index, value }) => [
        paint('dim', `  ${page.axes.map((axis, at) => `${axis} ${index[at] ?? 0}`).join(', ')}`),
        ...indented(valueText(value, true), 4),
      ]),
    )
  const rows = cells.map(({ index, value }) => [...index.map(String), valueText(value, false)])
  return [...lines, ...table([...page.axes, 'VALUE'], rows, { width }).split('\n')]
}

function indented(text: string, by: number): string[] {
  return plain(text)
    .split('\n')
    .map(line => ' '.repeat(by) + line)
}

interface Cell {
  readonly index: readonly number[]
  readonly value: unknown
}

function cellsOf(data: unknown, depth: number, offset: readonly number[]): Cell[] {
  if (depth === 0) return [{ index: [], value: data }]
  const [start = 0, ...rest] = offset
  return (Array.isArray(data) ? (data as unknown[]) : []).flatMap((inner, at) =>
    cellsOf(inner, depth - 1, rest).map(({ index, value }) => ({ index: [start + at, ...index], value })),
  )
}

function valueText(value: unknown, onLines: boolean): string {
  return typeof value === 'string' ? value : (writeJson(value, onLines ? 2 : undefined) ?? 'null')
}

/** Where the next page begins; null when there are no further cells. The last axis runs out first. */
export function nextOffset({ axes, shape, page }: Pick<ReferencePage, 'axes' | 'shape' | 'page'>): number[] | null {
  const sizes = page.axes.map(axis => shape[axes.indexOf(axis)] ?? 0)
  for (let at = page.axes.length - 1; at >= 0; at--) {
    const end = (page.offset[at] ?? 0) + (page.shape[at] ?? 0)
    if (end >= (sizes[at] ?? 0)) continue
    return page.offset.map((start, other) => (other < at ? start : other === at ? end : 0))
  }
  return null
}

async function showHistory(session: Session, { id, concept }: Place, flags: InspectFlags): Promise<ExitCode> {
  const { client, terminal, json, printJson, signal } = session
  const page = await client.referenceHistory(id, concept, { after: flags.after, limit: flags.limit?.[0], signal })
  if (json) printJson(page)
  else if (page.items.length === 0) terminal.print(`${oneLine(concept)} has had no value in this run.`)
  else
    terminal.print(
      table(['STEP', 'FLOW INDEX', 'RUN', 'TIME', 'SHAPE', 'VALUE'], page.items.map(changeRow), {
        width: flags.full ? Number.POSITIVE_INFINITY : terminal.columns(),
      }),
    )
  if (page.next !== null) terminal.note(`Later values: the same with --after ${page.next}`)
  return exitCodes.done
}

function changeRow(change: ValueChange): string[] {
  const execution = change.execution === null ? '' : `#${change.execution}`
  const shape = change.axes === null ? '' : shapeText({ axes: change.axes, shape: change.shape ?? [] })
  const value = change.axes === null ? '(cleared)' : `${valueText(change.data, false)}${change.truncated ? ' …' : ''}`
  const by = change.flow_index ?? (change.step === 0 ? 'given' : 'by hand')
  return [String(change.step), by, execution, localTime(change.at), shape, value]
}
