/** What a module may declare. */
export interface ModuleBounds {
  readonly memoryBytes: number
}

const pageBytes = 65_536
const mostTableEntries = 65_536
const mostTables = 8
const tableSection = 4
const memorySection = 5
const header = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00]
const withMaximum = 1
const funcref = 0x70
const externref = 0x6f

/**
 * Why the module could take more memory than it may, or null. Nothing limits a running module but the maxima that it
 * declares itself, so it must declare them: one memory of 32 bits that is its own, and tables of functions.
 */
export function boundsProblem(bytes: Uint8Array, { memoryBytes }: ModuleBounds): string | null {
  if (header.some((byte, at) => bytes[at] !== byte)) return 'it is no WebAssembly module'
  const reader = new Reader(bytes, header.length)
  let memories = 0
  try {
    while (!reader.isAtEnd) {
      const id = reader.byte()
      const section = reader.part(reader.number())
      if (id === tableSection) {
        const problem = tablesProblem(section)
        if (problem !== null) return problem
      } else if (id === memorySection) {
        memories += section.number()
        const problem = memories === 1 ? memoryProblem(section, memoryBytes) : null
        if (problem !== null) return problem
      }
    }
  } catch (error) {
    if (error instanceof RangeError) return 'its sections are not whole'
    throw error
  }
  return memories === 1 ? null : `it declares ${memories} memories, and one is needed`
}

function memoryProblem(section: Reader, memoryBytes: number): string | null {
  const flags = section.byte()
  if (flags !== withMaximum) return 'its memory has no maximum, is shared, or has 64 bits'
  section.number()
  const most = section.number() * pageBytes
  if (most <= memoryBytes) return null
  return `its memory may grow to ${most} bytes, and ${memoryBytes} are allowed`
}

function tablesProblem(section: Reader): string | null {
  const tables = section.number()
  if (tables > mostTables) return `it declares ${tables} tables, and ${mostTables} are allowed`
  for (let table = 0; table < tables; table++) {
    const type = section.byte()
    if (type !== funcref && type !== externref) return 'it declares a table of something else than functions'
    if (section.byte() !== withMaximum) return 'it declares a table without a maximum'
    section.number()
    const most = section.number()
    if (most > mostTableEntries) return `it declares a table of ${most} entries, and ${mostTableEntries} are allowed`
  }
  return null
}

/** Throws `RangeError` for reading beyond the end. */
class Reader {
  readonly #bytes: Uint8Array
  #at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  byte(): number {
    const byte = this.#bytes[this.#at++]
    if (byte === undefined) throw new RangeError('The end was reached.')
    return byte
  }

  /** Unsigned, in LEB128, up to 32 bits. */
  number(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError('A number is too long.')
  }

  part(length: number): Reader {
    const end = this.#at + length
    if (end > this.#bytes.length) throw new RangeError('The end was reached.')
    const part = new Reader(this.#bytes.subarray(this.#at, end))
    this.#at = end
    return part
  }
}
