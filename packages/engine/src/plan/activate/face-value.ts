import { literalOrText } from '../../value/literal-eval.ts'
import { str } from '../../value/python-repr.ts'
import { isList, PyTuple } from '../../value/value.ts'

/** The value of a `literal<$…>` annotation as signs: one for each item of a list, else one for the whole. */
export function faceValue(text: string): string | readonly string[] {
  const value = literalOrText(text)
  const items = isList(value) ? value : value instanceof PyTuple ? value.items : null
  return items ? items.map(item => `%(${str(item)})`) : `%(${str(value)})`
}
