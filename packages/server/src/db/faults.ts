// SQLite's primary result codes: busy, locked, read-only, input or output error, full, cannot open.
const passing = new Set([5, 6, 8, 10, 13, 14])

/** Whether the database could not be used just now, through no fault of the statement: the same may work later. */
export function isStorageFault(error: unknown): boolean {
  const { errcode } = (error ?? {}) as { readonly errcode?: unknown }
  return typeof errcode === 'number' && passing.has(errcode & 0xff)
}
