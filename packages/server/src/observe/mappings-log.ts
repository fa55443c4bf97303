import type { Logger } from './log.ts'

/** `organisation` is whose mapping ended the thread; null where it ended by itself. */
export function mappingThreadReplaced(
  log: Logger,
  fields: { readonly why: string; readonly organisation: string | null },
): void {
  log.warn(fields, 'thread of mappings replaced')
}
