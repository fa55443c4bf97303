import { crc32, deflateRawSync } from 'node:zlib'

/** One entry of a zip, with every field as a liar would have it. */
export interface ForgedEntry {
  readonly name: string | Buffer
  readonly content?: string | Buffer
  readonly method?: number
  readonly flags?: number
  readonly madeBy?: number
  readonly attributes?: number
  readonly crc?: number
  /** What the directory says of the sizes. */
  readonly packedSize?: number
  readonly size?: number
  /** Uses the data of an earlier entry instead of its own. */
  readonly sameDataAs?: number
  readonly extra?: Buffer
  readonly offset?: number
}

interface Placed {
  readonly offset: number
  readonly packed: Buffer
  readonly plain: Buffer
}

const unix = 3 << 8

/** A zip as tests need it: right where nothing else is said, wrong where it is. */
export function forgeZip(
  entries: readonly ForgedEntry[],
  { entryCount = entries.length, prefix = Buffer.alloc(0) }: { entryCount?: number; prefix?: Buffer } = {},
): Buffer {
  const parts: Buffer[] = [prefix]
  const placed: Placed[] = []
  let at = prefix.length
  for (const entry of entries) {
    const shared = entry.sameDataAs === undefined ? undefined : placed[entry.sameDataAs]
    if (shared) {
      placed.push(shared)
      continue
    }
    const plain = Buffer.from(entry.content ?? '')
    const packed = (entry.method ?? 8) === 8 ? deflateRawSync(plain) : plain
    placed.push({ offset: at, packed, plain })
    const local = header(0x04034b50, entry, { packed, plain })
    parts.push(local, packed)
    at += local.length + packed.length
  }
  const directory = entries.map((entry, index) => directoryRecord(entry, placed[index] as Placed))
  const size = directory.reduce((sum, record) => sum + record.length, 0)
  const end = Buffer.alloc(22)
  end.writeUInt32LE(0x06054b50, 0)
  end.writeUInt16LE(entryCount & 0xffff, 8)
  end.writeUInt16LE(entryCount & 0xffff, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...parts, ...directory, end])
}

function header(signature: number, entry: ForgedEntry, { packed, plain }: { packed: Buffer; plain: Buffer }): Buffer {
  const name = Buffer.from(entry.name)
  const fields = Buffer.alloc(30)
  fields.writeUInt32LE(signature, 0)
  common(fields.subarray(4), entry, { packed, plain })
  fields.writeUInt16LE(name.length, 26)
  return Buffer.concat([fields, name])
}

function directoryRecord(entry: ForgedEntry, { offset, packed, plain }: Placed): Buffer {
  const name = Buffer.from(entry.name)
  const extra = entry.extra ?? Buffer.alloc(0)
  const fields = Buffer.alloc(46)
  fields.writeUInt32LE(0x02014b50, 0)
  fields.writeUInt16LE((entry.madeBy ?? unix) | 20, 4)
  common(fields.subarray(6), entry, { packed, plain })
  fields.writeUInt32LE(entry.packedSize ?? packed.length, 20)
  fields.writeUInt32LE(entry.size ?? plain.length, 24)
  fields.writeUInt16LE(name.length, 28)
  fields.writeUInt16LE(extra.length, 30)
  fields.writeUInt32LE(entry.attributes ?? (0o100644 << 16) >>> 0, 38)
  fields.writeUInt32LE(entry.offset ?? offset, 42)
  return Buffer.concat([fields, name, extra])
}

/** The fields that both headers have in the same order: version, flags, method, time, checksum, sizes. */
function common(fields: Buffer, entry: ForgedEntry, { packed, plain }: { packed: Buffer; plain: Buffer }): void {
  fields.writeUInt16LE(20, 0)
  fields.writeUInt16LE(entry.flags ?? 0x800, 2)
  fields.writeUInt16LE(entry.method ?? 8, 4)
  fields.writeUInt32LE(entry.crc ?? crc32(plain), 10)
  fields.writeUInt32LE(packed.length, 14)
  fields.writeUInt32LE(plain.length, 18)
}
