import fc from 'fast-check'
import { PyBytes, PyDict, PyFloat, PySet, PyTuple, type Value } from './value.ts'

/** Texts with everything that makes quoting hard. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc
    .array(
      fc.constantFrom("'", '"', '\\', '\n', '\r', '\t', '\0', '$', '{', '%', '中', '😀', '\x85', '\u200b', 'a', ' '),
    )
    .map(parts => parts.join('')),
)

const anyInt: fc.Arbitrary<Value> = fc.oneof(
  fc.maxSafeInteger().map(int => int + 0),
  fc.bigInt({ min: 2n ** 53n, max: 2n ** 200n }),
  fc.bigInt({ min: -(2n ** 200n), max: -(2n ** 53n) }),
)

export const anyFloat: fc.Arbitrary<PyFloat> = fc
  .double({ noNaN: true, noDefaultInfinity: true })
  .map(value => new PyFloat(value))

const jsonScalar: fc.Arbitrary<Value> = fc.oneof(fc.constant(null), fc.boolean(), anyInt, anyFloat, anyText)
const hashable: fc.Arbitrary<Value> = fc.oneof(
  jsonScalar,
  fc.array(jsonScalar, { maxLength: 3 }).map(items => new PyTuple(items)),
  fc.uint8Array({ maxLength: 5 }).map(bytes => new PyBytes(bytes)),
)

/** Values that JSON can carry. */
export const jsonValue: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    jsonScalar,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(anyText, tie('value')), { maxLength: 4 }).map(entries => PyDict.of(entries)),
  ),
})).value

/** Values of every type, without nan. */
export const anyValue: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>(tie => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    hashable,
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(tie('value'), { maxLength: 4 }).map(items => new PyTuple(items)),
    fc.array(hashable, { maxLength: 4 }).map(items => PySet.of(items)),
    fc.array(fc.tuple(hashable, tie('value')), { maxLength: 4 }).map(entries => PyDict.of(entries)),
    fc
      .tuple(fc.constantFrom('$tuple', '$set', '$dict', '$bytes', '$float', '$'), tie('value'))
      .map(entry => PyDict.of([entry])),
  ),
})).value
