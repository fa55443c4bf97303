import type { Paradigm } from '../paradigm.ts'
import { askParadigms } from './ask.ts'
import { chatParadigms } from './chat.ts'
import { everydayParadigms } from './everyday.ts'
import { generateParadigms } from './generate.ts'
import { scriptParadigms } from './script.ts'

/** The paradigms that every plan may name. A file of the plan with the same name comes first. */
export const builtInParadigms: ReadonlyMap<string, Paradigm> = new Map([
  ...everydayParadigms,
  ...askParadigms,
  ...generateParadigms,
  ...scriptParadigms,
  ...chatParadigms,
])

export const builtInParadigmNames: readonly string[] = [...builtInParadigms.keys()]
