/**
 * Ids of perceptual signs: three hex digits, as the plans write them, chosen from what is being done instead of by
 * chance. The strides are odd, so 4096 successive executions, calls or cells get 4096 different ids: a loop that tells
 * its elements apart by their text does not take two of them for one.
 */
const EXECUTION_STRIDE = 2999
const CALL_STRIDE = 1289

export const CELL_STRIDE = 331

export function signBase(seed: string, flowIndex: string, execution: number): number {
  return (hash(`${seed}\n${flowIndex}`) + execution * EXECUTION_STRIDE) & 0xfff
}

export function signId(base: number, call: number): string {
  return ((base + call * CALL_STRIDE) & 0xfff).toString(16).padStart(3, '0')
}

// FNV-1a over UTF-16 units: small, fast, and good enough to spread steps over 4096 values.
function hash(text: string): number {
  let state = 0x811c9dc5
  for (let index = 0; index < text.length; index++) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193)
  }
  return (state ^ (state >>> 15)) >>> 0
}
