import type { Paradigm } from '../paradigm.ts'

export const builtInParadigms: ReadonlyMap<string, Paradigm> = new Map()
