/** Orders dotted flow indices by their numbers: `1.2` before `1.10`, a parent before its children. */
export function compareFlowIndices(a: string, b: string): number {
  const left = a.split('.').map(Number)
  const right = b.split('.').map(Number)
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

const deepestIndex = 100

/** Whether the text is a dotted sequence of at most 100 integers of at most nine digits. */
export function isFlowIndex(text: string): boolean {
  return /^\d{1,9}(\.\d{1,9})*$/.test(text) && text.split('.').length <= deepestIndex
}

/** `1.2` of `1.2.3`; the empty string of a top-level index. */
export function parentIndex(index: string): string {
  return index.split('.').slice(0, -1).join('.')
}

/** Whether `index` lies below `ancestor`, at any depth. */
export function isBelow(index: string, ancestor: string): boolean {
  return index.startsWith(`${ancestor}.`)
}
