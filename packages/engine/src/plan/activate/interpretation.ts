import type { AttachedConcept, InferenceGroup } from '../nci.ts'
import { longestSpan, shortestSpan } from '../spans.ts'
import {
  annotation,
  annotationLike,
  annotationList,
  balancedList,
  bracketedName,
  carryDistance,
  functionText,
  splitList,
  stripOuterBrackets,
} from './annotations.ts'
import { faceValue } from './face-value.ts'
import { groupingAxes } from './grouping-axes.ts'

/** What a step is told about itself, keys in the order of the interchange files. */
export interface Interpretation {
  readonly workspace: Readonly<Record<string, never>>
  readonly flow_info: { readonly flow_index: string }
  readonly paradigm?: string | null
  readonly body_faculty?: string | null
  readonly value_order?: Readonly<Record<string, number>>
  readonly value_selectors?: Readonly<Record<string, Selector>>
  readonly assertion_condition?: {
    readonly quantifiers: Readonly<Record<string, string>>
    readonly condition: boolean
  }
  readonly output_axis?: string
  readonly syntax?: Readonly<Record<string, unknown>>
  readonly blackboard?: null
}

export interface Selector {
  readonly source_concept?: string
  readonly key?: string
  readonly index?: number
  readonly packed?: true
  readonly unpack?: true
}

const noneAxis = '_none_axis'

/** The working interpretation of a group's step under `sequence` (the name as written or inferred, not mapped). */
export function workingInterpretation(group: InferenceGroup, sequence: string): Interpretation {
  const base = { workspace: {}, flow_info: { flow_index: group.concept_to_infer.flow_index } }
  switch (sequence) {
    case 'imperative':
    case 'judgement':
      return { ...base, ...composition(group, sequence) }
    case 'assigning':
      return { ...base, syntax: assigning(group) }
    case 'grouping':
      return { ...base, syntax: grouping(group) }
    case 'timing':
      return { ...base, syntax: timing(group), blackboard: null }
    case 'looping':
      return { ...base, syntax: looping(group) }
    default:
      return base
  }
}

function composition(group: InferenceGroup, sequence: 'imperative' | 'judgement'): Partial<Interpretation> {
  const { function_concept: step, concept_to_infer: parent } = group
  const selectors = selectorsOf(group.value_concepts)
  const asserts = sequence === 'judgement' && functionText(step).includes('<ALL True>')
  const axis = annotationList(parent.attached_comments, 'ref_axes')?.[0]
  return {
    paradigm: annotation(step.attached_comments, 'norm_input'),
    body_faculty: annotation(step.attached_comments, 'body_faculty'),
    value_order: Object.fromEntries(valueOrder(group, sequence)),
    ...(selectors.length > 0 ? { value_selectors: Object.fromEntries(selectors) } : {}),
    ...(asserts ? { assertion_condition: { quantifiers: { axis: 'all' }, condition: true } } : {}),
    ...(axis !== undefined && axis !== noneAxis ? { output_axis: axis } : {}),
  }
}

function valueOrder(group: InferenceGroup, sequence: 'imperative' | 'judgement'): [name: string, place: number][] {
  const written = annotationList(group.function_concept.attached_comments, 'value_order')
  if (sequence === 'imperative' && written) return written.map((name, at) => [name, at + 1])
  const values = group.value_concepts.flatMap(concept => {
    const name = bracketedName(concept)
    return name === null ? [] : [{ name, place: bindingOf(concept) }]
  })
  const bound = values.flatMap(({ name, place }): [string, number][] => (place === null ? [] : [[name, place]]))
  // As soon as one child says where it goes, those that do not say so are not passed.
  return bound.length > 0 ? bound : values.map(({ name }, at) => [name, at + 1])
}

function selectorsOf(values: readonly AttachedConcept[]): [name: string, selector: Selector][] {
  return values.flatMap((concept): [string, Selector][] => {
    const name = bracketedName(concept)
    if (name === null || bindingOf(concept) === null) return []
    const selector = selectorOf(concept)
    return Object.keys(selector).length > 0 ? [[name, selector]] : []
  })
}

function selectorOf({ attached_comments: comments }: AttachedConcept): Selector {
  const source = annotation(comments, 'selector_source')
  const key = annotation(comments, 'selector_key')
  const index = annotation(comments, 'selector_index')
  return {
    ...(source === null ? {} : { source_concept: source }),
    ...(key === null ? {} : { key }),
    ...(index !== null && /^-?\d+$/.test(index) ? { index: Number(index) } : {}),
    ...(isTrue(annotation(comments, 'selector_packed')) ? { packed: true as const } : {}),
    ...(isTrue(annotation(comments, 'selector_unpack')) ? { unpack: true as const } : {}),
  }
}

/** The argument position in `{x}<:{2}>`. */
function bindingOf(concept: AttachedConcept): number | null {
  const found = /<:\{(\d+)\}>/.exec(concept.nc_main)
  return found ? Number(found[1]) : null
}

function assigning(group: InferenceGroup): Readonly<Record<string, unknown>> {
  const text = functionText(group.function_concept)
  const comments = group.function_concept.attached_comments
  const marker = ['%', '.', '+', '=', '-'].find(candidate => text.startsWith(`$${candidate}`)) ?? ''
  const source = modifier(text, '>')
  if (marker === '%') {
    const literal = annotationLike([...comments, ...group.concept_to_infer.attached_comments], /^literal<\$.*>$/)
    return {
      marker,
      face_value: literal === null ? null : faceValue(literal),
      axis_names: annotationList(group.concept_to_infer.attached_comments, 'ref_axes'),
    }
  }
  if (marker === '.') {
    return { marker, assign_source: annotationList(comments, 'assign_sources') ?? listedSources(text) ?? source }
  }
  if (marker === '+') {
    return {
      marker,
      assign_source: modifier(text, '<'),
      assign_destination: source,
      by_axes: modifier(text, ':'),
    }
  }
  return { marker, assign_source: source }
}

function grouping(group: InferenceGroup): Readonly<Record<string, unknown>> {
  const text = functionText(group.function_concept)
  const { axes, origin } = groupingAxes(group)
  return {
    marker: text.includes('&[#]') ? 'across' : 'in',
    // The list runs to the last bracket of the line, later modifiers included; steps do not read it.
    sources: splitList(longestSpan(text, '%>[', ']') ?? ''),
    create_axis: modifier(text, '+'),
    by_axes: axes,
    by_axes_source: origin,
  }
}

function timing(group: InferenceGroup): Readonly<Record<string, unknown>> {
  const text = functionText(group.function_concept)
  const after = conditionOf(text, /@\.\s*\(/)
  if (after !== null) return { marker: 'after', condition: asValue(after) }
  const given = conditionOf(text, /@:['!]\s*\(/)
  return {
    marker: text.includes('@:!') ? 'if!' : 'if',
    condition: given === null ? null : asProposition(given),
  }
}

/** What follows `opening` up to the bracket that ends the text. */
function conditionOf(text: string, opening: RegExp): string | null {
  const found = opening.exec(text)
  const start = found ? found.index + found[0].length : text.length
  return start < text.length && text.endsWith(')') ? text.slice(start, -1).trim() : null
}

function looping(group: InferenceGroup): Readonly<Record<string, unknown>> {
  const text = functionText(group.function_concept)
  const contexts = group.other_concepts.filter(other => other.inference_marker === '<*')
  const current = contexts.find(context => (longestSpan(context.nc_main, '<$(', ')*>') ?? '') !== '')
  const carried = contexts.filter(context => carryDistance(context) !== null)
  const currentName = (current ? bracketedName(current) : null) ?? modifier(text, ':')
  const result = modifier(text, '<')
  return {
    marker: 'every',
    loop_index: Number(/%@\((\d+)\)/.exec(text)?.[1] ?? 1),
    LoopBaseConcept: modifier(text, '>'),
    CurrentLoopBaseConcept: currentName,
    CurrentLoopBaseSource: current ? loopSource(current) : null,
    group_base: groupBase(group, { current, currentName }),
    ConceptToInfer: result === null ? [] : [result],
    ...carries(carried),
  }
}

function carries(carried: readonly AttachedConcept[]): Readonly<Record<string, unknown>> {
  const [first, ...more] = carried
  if (!first) return {}
  if (more.length === 0) return { CarryStateConcept: bracketedName(first), CarryStateSource: loopSource(first) }
  return { CarryStateConcept: carried.map(bracketedName), CarryStateSource: carried.map(loopSource) }
}

function groupBase(
  group: InferenceGroup,
  { current, currentName }: { current: AttachedConcept | undefined; currentName: string | null },
): string | null {
  const written =
    annotation(group.function_concept.attached_comments, 'group_base') ??
    annotation(group.concept_to_infer.attached_comments, 'group_base')
  if (written !== null) return written
  const axis = current ? annotationList(current.attached_comments, 'ref_axes')?.[0] : undefined
  if (axis !== undefined && axis !== noneAxis) return axis
  return currentName === null ? null : currentName.replace(/^[{[<]|[}\]>]$/g, '')
}

function loopSource(context: AttachedConcept): string | null {
  return longestSpan(context.nc_main, '<$(', ')*') || null
}

/** What stands in `%<sign>(…)`. */
function modifier(text: string, sign: '>' | '<' | ':' | '+'): string | null {
  return shortestSpan(text, `%${sign}(`, ')')?.trim() ?? null
}

function listedSources(text: string): readonly string[] | null {
  const items = splitList(stripOuterBrackets(balancedList(text, '%<') ?? ''))
  return items.length > 0 ? items : null
}

function asProposition(text: string): string {
  return text.startsWith('<') && text.endsWith('>') ? text : `<${text}>`
}

function asValue(text: string): string {
  return /^[{[<]/.test(text) ? text : `{${text}}`
}

function isTrue(text: string | null): boolean {
  return text?.toLowerCase() === 'true'
}
