/** Places in a list of a known length, given in their order without looking at those between. */
export class IndexSet {
  readonly #words: Uint32Array
  /** One bit for each word that is not empty. */
  readonly #groups: Uint32Array

  constructor(length: number) {
    const words = (length >>> 5) + 1
    this.#words = new Uint32Array(words)
    this.#groups = new Uint32Array((words >>> 5) + 1)
  }

  /** The set of all places. */
  static full(length: number): IndexSet {
    const set = new IndexSet(length)
    for (let place = 0; place < length; place++) set.add(place)
    return set
  }

  add(place: number): void {
    const word = place >>> 5
    this.#words[word] = (this.#words[word] ?? 0) | (1 << (place & 31))
    this.#groups[word >>> 5] = (this.#groups[word >>> 5] ?? 0) | (1 << (word & 31))
  }

  delete(place: number): void {
    const word = place >>> 5
    const left = (this.#words[word] ?? 0) & ~(1 << (place & 31))
    this.#words[word] = left
    if (left === 0) this.#groups[word >>> 5] = (this.#groups[word >>> 5] ?? 0) & ~(1 << (word & 31))
  }

  has(place: number): boolean {
    return ((this.#words[place >>> 5] ?? 0) & (1 << (place & 31))) !== 0
  }

  /** The first place of the set that is not before `from`, or -1. */
  next(from: number): number {
    const word = from >>> 5
    const bits = (this.#words[word] ?? 0) & (-1 << (from & 31))
    if (bits !== 0) return (word << 5) + lowest(bits)
    const found = this.#nextWord(word + 1)
    return found < 0 ? -1 : (found << 5) + lowest(this.#words[found] ?? 0)
  }

  #nextWord(from: number): number {
    let mask = -1 << (from & 31)
    for (let group = from >>> 5; group < this.#groups.length; group++) {
      const bits = (this.#groups[group] ?? 0) & mask
      if (bits !== 0) return (group << 5) + lowest(bits)
      mask = -1
    }
    return -1
  }
}

function lowest(bits: number): number {
  return 31 - Math.clz32(bits & -bits)
}
