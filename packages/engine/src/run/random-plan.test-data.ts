import { SKIP } from '#reference/reference'
import { askModel, type PlanSketch, type StepSketch } from './plan.fixture.ts'

/** Reads decisions from a list of numbers, so that a plan shrinks with the list; at its end every decision is 0. */
export class Choices {
  readonly #numbers: readonly number[]
  #at = 0

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers
  }

  below(limit: number): number {
    return (this.#numbers[this.#at++] ?? 0) % limit
  }

  of<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new Error('There is nothing to choose from.')
    return item
  }
}

type Names = readonly string[]

const CELLS = ['a', 'b', 'a', 1, '%(2)', null, SKIP, ['l', 'm'], { k: 'v' }] as const
const GIVEN: Names = ['{line}', '{grid}', '{one}']
const DIALECTS = ['2026-01', '2026-01-strict', '2026-03'] as const

/** A small plan of assignings, groupings, questions to a model, judgements, conditions and loops. */
export function randomPlan(numbers: readonly number[]): PlanSketch {
  const builder = new Builder(new Choices(numbers))
  return builder.build()
}

class Builder {
  readonly #choices: Choices
  readonly #given: Record<string, unknown> = {}
  readonly #axes: Record<string, readonly string[]> = {}
  readonly #steps: StepSketch[] = []
  readonly #invariant: string[] = []
  readonly #judged: string[] = []

  constructor(choices: Choices) {
    this.#choices = choices
  }

  build(): PlanSketch {
    const dialect = this.#choices.of(DIALECTS)
    this.#give('{line}', this.#cells(), ['x'])
    this.#give('{grid}', [this.#cells(), this.#cells()], ['y', 'x'])
    this.#give('{one}', [this.#choices.of(CELLS) ?? 'z'], ['_none_axis'])
    let names: Names = GIVEN
    const count = 1 + this.#choices.below(4)
    const final: string[] = []
    for (let place = 1; place <= count; place++) {
      const made = this.#step(String(place), names, 0)
      final.push(made)
      names = [made, ...names]
    }
    return {
      given: this.#given,
      axes: this.#axes,
      invariant: this.#invariant,
      final,
      steps: this.#steps,
      paradigms: { ask: askModel },
      dialect,
    }
  }

  #give(name: string, data: unknown, axes: readonly string[]): void {
    this.#given[name] = data
    this.#axes[name] = axes
  }

  #cells(): unknown[] {
    return Array.from({ length: this.#choices.below(4) }, () => this.#choices.of(CELLS))
  }

  /** Adds a step, perhaps with one below it that gives it a value, and says what it infers. */
  #step(at: string, names: Names, depth: number): string {
    const infers = `{made ${at}}`
    const below = depth < 3 && this.#choices.below(3) === 0 ? [this.#step(`${at}.2`, names, depth + 1)] : []
    const known = [...below, ...names]
    switch (this.#choices.below(depth < 2 ? 8 : 6)) {
      case 0:
        return this.#assign(at, infers, known)
      case 1:
        return this.#group(at, infers, known)
      case 2:
        return this.#ask(at, infers, known)
      case 3:
        return this.#judge(at, infers, known)
      case 4:
      case 5:
        return this.#guarded(at, infers, known)
      default:
        return this.#loop(at, { infers, names: known, depth })
    }
  }

  #assign(at: string, infers: string, names: Names): string {
    const [a, b] = [this.#choices.of(names), this.#choices.of(names)]
    const syntaxes = [
      { marker: '.', assign_source: a },
      { marker: '.', assign_source: [a, b] },
      { marker: '+', assign_source: a, assign_destination: b, by_axes: ['x'] },
      { marker: '%', face_value: this.#cells(), axis_names: ['x'] },
      { marker: '-', assign_source: a, selector: { index: this.#choices.below(3) - 1, unpack: true } },
      { marker: '=', assign_source: a },
    ]
    const syntax = this.#choices.of<{ readonly marker: string }>(syntaxes)
    const values = syntax.marker === '%' ? [] : syntax.marker === '+' ? [a, b] : [...new Set([a, b])]
    this.#steps.push({ at, sequence: 'assigning', infers, values, with: { syntax } })
    return infers
  }

  #group(at: string, infers: string, names: Names): string {
    const values = [this.#choices.of(names), this.#choices.of(names)]
    const syntax = {
      marker: this.#choices.of(['in', 'across']),
      by_axes: this.#choices.of([null, ['x'], [['x'], ['x', '_none_axis']], [[], []], [['y', 'x']]] as const),
      create_axis: this.#choices.of([null, 'z', 'x'] as const),
    }
    const contexts = this.#choices.below(2) === 0 ? [] : [this.#choices.of(names)]
    this.#steps.push({ at, sequence: 'grouping', infers, values, contexts, with: { syntax } })
    return infers
  }

  #ask(at: string, infers: string, names: Names, by?: string): string {
    const values = [this.#choices.of(names), this.#choices.of(names)]
    const step = { at, sequence: 'imperative_in_composition', infers, values: [...new Set(values)] }
    const order = Object.fromEntries(values.map((name, place) => [name, place + 1]))
    const selectors = this.#choices.of<object>([
      {},
      { part: { source_concept: values[0], index: 0, unpack: true } },
      { [values[0] ?? '']: { packed: this.#choices.below(2) === 0 } },
    ])
    const settings = { paradigm: 'ask', value_order: { ...order, part: 3 }, value_selectors: selectors }
    this.#steps.push({ ...step, ...(by === undefined ? {} : { by }), with: settings })
    return infers
  }

  #judge(at: string, infers: string, names: Names): string {
    const value = this.#choices.of(names)
    const quantifiers = this.#choices.of<object>([
      { any: 'all' },
      { x: 'for-each' },
      { x: 'for-each', y: 'some' },
      { x: 'none' },
    ])
    const assertion = { quantifiers, condition: this.#choices.of<unknown>(['yes', true]) }
    const settings = { paradigm: 'ask', value_order: { [value]: 1 }, assertion_condition: assertion }
    this.#steps.push({ at, sequence: 'judgement_in_composition', infers, values: [value], with: settings })
    this.#judged.push(infers)
    return infers
  }

  #guarded(at: string, infers: string, names: Names): string {
    const by = `::guarded ${at}`
    this.#give(by, [by], ['_none_axis'])
    const condition = this.#judged.at(-1) ?? this.#judge(`${at}.3`, `<cond ${at}>`, names)
    const marker = this.#choices.of(['if', 'if!', 'after'])
    this.#steps.push({
      at: `${at}.1`,
      sequence: 'timing',
      infers: by,
      values: [condition],
      with: { syntax: { marker, condition } },
    })
    return this.#ask(at, infers, names, by)
  }

  #loop(at: string, options: { readonly infers: string; readonly names: Names; readonly depth: number }): string {
    const { infers, names, depth } = options
    const carries = this.#choices.below(2) === 0
    // What is carried must not change before the loop starts, so its collection is there from the beginning.
    const base = this.#choices.of(carries ? GIVEN : names)
    const [operator, current, carried] = [`*every ${at}`, `{current ${at}}`, `{carried ${at}}`]
    if (carries) this.#give(carried, ['%(0)'], ['_none_axis'])
    const inner: Names = carries ? [current, carried, ...names] : [current, ...names]
    const judgedBefore = this.#judged.length
    const body = this.#step(`${at}.1.1`, inner, depth + 1)
    this.#judged.length = judgedBefore
    this.#steps.push({
      at: `${at}.1`,
      sequence: 'assigning',
      infers: operator,
      values: [body],
      with: { syntax: { marker: '.', assign_source: body } },
    })
    if (carries) {
      const syntax = { marker: '.', assign_source: body }
      this.#steps.push({ at: `${at}.1.5`, sequence: 'assigning', infers: carried, values: [body], with: { syntax } })
    }
    // A kept value that a step beside the body reads makes the order of the two matter.
    if (!carries && this.#choices.below(4) === 0) this.#invariant.push(body)
    const index = this.#choices.of(['loop_index', 'quantifier_index'])
    const syntax = {
      marker: 'every',
      [index]: 1 + this.#choices.below(2),
      LoopBaseConcept: base,
      CurrentLoopBaseConcept: current,
      group_base: 'x',
      ConceptToInfer: [body],
      InLoopConcept: carries ? { [carried]: 1 + this.#choices.below(2) } : null,
    }
    this.#steps.push({
      at,
      sequence: index === 'loop_index' ? 'looping' : 'quantifying',
      infers,
      by: operator,
      values: [base],
      contexts: carries ? [current, carried] : [current],
      with: { syntax },
    })
    return infers
  }
}
