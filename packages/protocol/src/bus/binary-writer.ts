import { ScalarType, type DescField, type DescMessage, type DescOneof, type MessageInitShape } from '@bufbuild/protobuf'

/** Writes the fields of a message behind what is written already. */
type Put = (out: Output, message: Fields) => void
/** Writes a value that is not left out. */
type PutValue = (out: Output, value: unknown) => void
type Fields = Readonly<Record<string, unknown>>

/**
 * Gives a function that writes messages of this kind as protobuf: the same bytes as the library's, at a fifth of its cost,
 * since what a description says is looked at once and no message is made in between. For what frames are made of:
 * scalars but floating point, enums, messages, lists of those that are not numbers, and maps of texts.
 */
export function binaryWriter<Schema extends DescMessage>(
  schema: Schema,
): (init: MessageInitShape<Schema>) => Uint8Array<ArrayBuffer> {
  const put = putFields(schema, new Map())
  const out = new Output()
  return init => {
    out.begin()
    put(out, init)
    return out.end()
  }
}

function putFields(desc: DescMessage, known: Map<string, Put>): Put {
  const before = known.get(desc.typeName)
  if (before) return before
  const puts: Put[] = []
  const put: Put = (out, message) => {
    for (const one of puts) one(out, message)
  }
  known.set(desc.typeName, put)
  for (const member of desc.members)
    puts.push(member.kind === 'oneof' ? putOneof(member, known) : putField(member, known))
  return put
}

function putOneof({ localName, fields }: DescOneof, known: Map<string, Put>): Put {
  const puts = new Map<unknown, PutValue>(fields.map(field => [field.localName, putValue(field, known)]))
  return (out, message) => {
    const chosen = message[localName] as { readonly case?: unknown; readonly value?: unknown } | undefined
    if (chosen?.case !== undefined) puts.get(chosen.case)?.(out, chosen.value)
  }
}

// As the library numbers the ways in which a field may be missing.
const implicit = 2

function putField(field: DescField, known: Map<string, Put>): Put {
  const { localName } = field
  const put = putValue(field, known)
  const leavesDefaults =
    field.fieldKind !== 'list' && field.fieldKind !== 'map' && (field.presence as number) === implicit
  return (out, message) => {
    const value = message[localName]
    if (value === undefined || (leavesDefaults && isDefault(value))) return
    put(out, value)
  }
}

function isDefault(value: unknown): boolean {
  return (
    value === '' ||
    value === 0 ||
    value === 0n ||
    value === false ||
    (value instanceof Uint8Array && value.length === 0)
  )
}

function putValue(field: DescField, known: Map<string, Put>): PutValue {
  switch (field.fieldKind) {
    case 'scalar':
      return putScalar(field, field.scalar)
    case 'enum':
      return putScalar(field, ScalarType.INT32)
    case 'message':
      return putMessage(field, putFields(field.message, known))
    case 'list': {
      if (field.listKind === 'enum' || field.packed) throw new Error(`${field.name} is a list of numbers.`)
      const put =
        field.listKind === 'message'
          ? putMessage(field, putFields(field.message, known))
          : putScalar(field, field.scalar)
      return (out, list) => {
        for (const value of list as readonly unknown[]) put(out, value)
      }
    }
    case 'map':
      return putMap(field)
  }
}

const lengthDelimited = 2

function putMessage({ number }: { readonly number: number }, put: Put): PutValue {
  const tag = (number << 3) | lengthDelimited
  return (out, value) => {
    out.varint(tag)
    const start = out.open()
    put(out, value as Fields)
    out.close(start)
  }
}

function putMap(field: DescField & { readonly fieldKind: 'map' }): PutValue {
  if (field.mapKey !== ScalarType.STRING || field.scalar !== ScalarType.STRING)
    throw new Error(`${field.name} is no map of texts.`)
  const put = putMessage(field, (out, { key, value }) => {
    out.varint((1 << 3) | lengthDelimited)
    out.text(key as string)
    out.varint((2 << 3) | lengthDelimited)
    out.text(value as string)
  })
  return (out, map) => {
    for (const [key, value] of Object.entries(map as Fields)) put(out, { key, value })
  }
}

function putScalar({ number, name }: { readonly number: number; readonly name: string }, type: ScalarType): PutValue {
  const tag = (number << 3) | (type === ScalarType.STRING || type === ScalarType.BYTES ? lengthDelimited : 0)
  const wrong = (value: unknown): Error => new Error(`${name} cannot be ${String(value)}.`)
  switch (type) {
    case ScalarType.STRING:
      return (out, value) => {
        if (typeof value !== 'string') throw wrong(value)
        out.varint(tag)
        out.text(value)
      }
    case ScalarType.BYTES:
      return (out, value) => {
        if (!(value instanceof Uint8Array)) throw wrong(value)
        out.varint(tag)
        out.bytes(value)
      }
    case ScalarType.BOOL:
      return (out, value) => {
        out.varint(tag)
        out.varint(value === true ? 1 : 0)
      }
    case ScalarType.UINT32:
      return (out, value) => {
        if (typeof value !== 'number' || value >>> 0 !== value) throw wrong(value)
        out.varint(tag)
        out.varint(value)
      }
    case ScalarType.INT32:
      return (out, value) => {
        if (typeof value !== 'number' || (value | 0) !== value) throw wrong(value)
        out.varint(tag)
        if (value < 0) out.large(BigInt.asUintN(64, BigInt(value)))
        else out.varint(value)
      }
    case ScalarType.UINT64:
      return (out, value) => {
        if (typeof value !== 'bigint' || value < 0n || value > mostUint64) throw wrong(value)
        out.varint(tag)
        if (value <= mostExact) out.varint(Number(value))
        else out.large(value)
      }
    default:
      throw new Error(`${name} is of a kind that frames do not have.`)
  }
}

const mostUint64 = 0xffff_ffff_ffff_ffffn
const mostExact = BigInt(Number.MAX_SAFE_INTEGER)

const encoder = new TextEncoder()
const usualBytes = 4_096
/** What is longer is no longer kept for the next message. */
const keptBytes = 262_144
const longestVarint = 10
/** So many units of text have fewer than 128 bytes, whatever they are. */
const shortText = 42

/** Bytes that grow. */
class Output {
  #buffer = new Uint8Array(usualBytes)
  #at = 0

  begin(): void {
    this.#at = 0
    if (this.#buffer.length > keptBytes) this.#buffer = new Uint8Array(usualBytes)
  }

  end(): Uint8Array<ArrayBuffer> {
    return this.#buffer.slice(0, this.#at)
  }

  /** A whole number up to 2^53 - 1. */
  varint(value: number): void {
    this.#reserve(longestVarint)
    let left = value
    while (left > 0x7fff_ffff) {
      this.#buffer[this.#at++] = (left % 128) | 0x80
      left = Math.floor(left / 128)
    }
    while (left > 0x7f) {
      this.#buffer[this.#at++] = (left & 0x7f) | 0x80
      left >>>= 7
    }
    this.#buffer[this.#at++] = left
  }

  large(value: bigint): void {
    this.#reserve(longestVarint)
    let left = value
    while (left > 0x7fn) {
      this.#buffer[this.#at++] = Number(left & 0x7fn) | 0x80
      left >>= 7n
    }
    this.#buffer[this.#at++] = Number(left)
  }

  bytes(value: Uint8Array): void {
    this.varint(value.length)
    this.#reserve(value.length)
    this.#buffer.set(value, this.#at)
    this.#at += value.length
  }

  text(value: string): void {
    if (value.length > shortText) return this.bytes(encoder.encode(value))
    this.#reserve(1 + 3 * value.length)
    const start = this.#at + 1
    for (let index = 0; index < value.length; index++) {
      const unit = value.charCodeAt(index)
      if (unit > 0x7f) return this.bytes(encoder.encode(value))
      this.#buffer[start + index] = unit
    }
    this.#buffer[this.#at] = value.length
    this.#at = start + value.length
  }

  /** Begins something whose length comes before it; what follows goes behind the returned place. */
  open(): number {
    this.#reserve(1)
    return ++this.#at
  }

  close(start: number): void {
    const length = this.#at - start
    if (length < 0x80) {
      this.#buffer[start - 1] = length
      return
    }
    // A longer length needs more room than was left for it.
    const more = Math.ceil(length.toString(2).length / 7) - 1
    this.#reserve(more + longestVarint)
    this.#buffer.copyWithin(start + more, start, this.#at)
    const end = this.#at + more
    this.#at = start - 1
    this.varint(length)
    this.#at = end
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const larger = new Uint8Array(Math.max(this.#buffer.length * 2, this.#at + bytes))
    larger.set(this.#buffer.subarray(0, this.#at))
    this.#buffer = larger
  }
}
