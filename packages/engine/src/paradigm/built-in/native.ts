import type { PyDict, Value } from '#value/value'
import type { Step } from '#sequence/step'
import { asDict, Callable, type Operand } from '../operand.ts'
import type { Paradigm } from '../paradigm.ts'
import { getEntry, wrap } from '../formatter.ts'
import type { Reach, ToolContext } from '../tools.ts'

/** What a built-in paradigm has at hand while it works on one input. */
export interface NativeCall {
  /** The inputs of the step, by name. */
  readonly input: PyDict
  readonly context: ToolContext
  /** The text of the function concept. */
  readonly vertical: string
}

/** A paradigm that the engine brings along, written as the work itself instead of a file that describes it. */
export function native(
  name: string,
  reaches: readonly Reach[],
  work: (call: NativeCall) => Step<Operand>,
): readonly [string, Paradigm] {
  const paradigm: Paradigm = {
    name,
    reaches: new Set(reaches),
    *prepare(vertical, context) {
      return new Callable(name, args => work({ input: asDict(args.positional[0], 'The inputs'), context, vertical }))
    },
  }
  return [name, paradigm]
}

/** A native paradigm that first looks at its function concept: reads its prompt or script, once for all inputs. */
export function prepared(
  name: string,
  reaches: readonly Reach[],
  prepare: (vertical: string, context: ToolContext) => Step<(call: NativeCall) => Step<Operand>>,
): readonly [string, Paradigm] {
  const paradigm: Paradigm = {
    name,
    reaches: new Set(reaches),
    *prepare(vertical, context) {
      const work = yield* prepare(vertical, context)
      return new Callable(name, args => work({ input: asDict(args.positional[0], 'The inputs'), context, vertical }))
    },
  }
  return [name, paradigm]
}

export function inputAt({ input }: NativeCall, key: string): Value {
  return getEntry(input, key)
}

export function wrapped({ context }: NativeCall, value: Value, norm: string | null = null): Value {
  return wrap(value, norm, context.nextSignId)
}
