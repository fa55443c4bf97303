import { safeSubstitute } from '#value/template'
import type { Value } from '#value/value'
import {
  cleanCode,
  collectScriptInputs,
  getEntry,
  parse,
  parseBoolean,
  smartSubstitute,
  substitute,
  wrap,
  wrapList,
} from './formatter.ts'
import { asDict, asText, asValue, Callable, PromptTemplate, type Operand } from './operand.ts'
import { tool } from './tools.ts'

/** What paradigms do with texts and objects between the calls to the outside. */
export const formatter = tool('nothing', {
  get: {
    parameters: ['dictionary', 'key', 'default?'],
    pure: ({ values }) =>
      getEntry(asValue(values[0], 'The dictionary'), asValue(values[1], 'The key'), asValue(values[2], 'The default')),
  },
  wrap: {
    parameters: ['data', 'type?'],
    pure: ({ values, context }) => wrap(asValue(values[0], 'The data'), normOf(values[1]), context.nextSignId),
  },
  wrap_list: {
    parameters: ['data_list|data', 'type?'],
    pure: ({ values, context }) => wrapList(asValue(values[0], 'The list'), normOf(values[1]), context.nextSignId),
  },
  parse: { parameters: ['raw_response'], pure: ({ values }) => parse(asValue(values[0], 'The response')) },
  clean_code: {
    parameters: ['raw_code'],
    pure: ({ values, context }) => cleanCode(asValue(values[0], 'The text'), context.dialect),
  },
  collect_script_inputs: {
    parameters: ['all_inputs'],
    pure: ({ values }) => collectScriptInputs(asDict(values[0], 'The inputs')),
  },
  parse_boolean: {
    parameters: ['raw_response'],
    pure: ({ values, context }) => parseBoolean(asValue(values[0], 'The answer'), context.dialect),
  },
  create_template_function: {
    parameters: ['template'],
    pure: ({ values }) =>
      templateFunction(values[0] instanceof PromptTemplate ? values[0].text : asText(values[0], 'The template')),
  },
  create_substitute_function: {
    parameters: ['template_key'],
    pure: ({ values }) => {
      const key = asText(values[0], 'The key of the template')
      return inputsFunction('substitute', inputs => substitute(asDict(inputs, 'The inputs'), key))
    },
  },
  create_smart_substitute_function: {
    parameters: ['template_key', 'combine_to_key'],
    pure: ({ values }) => {
      const key = asText(values[0], 'The key of the template')
      const combine = asText(values[1], 'The key of the rest')
      return inputsFunction('smart_substitute', inputs => smartSubstitute(asDict(inputs, 'The inputs'), key, combine))
    },
  },
})

function normOf(type: Operand | undefined): string | null {
  const norm = asValue(type, 'The type')
  return typeof norm === 'string' ? norm : null
}

/** The function that fills a template with an object. */
export function templateFunction(template: string): Callable {
  return inputsFunction('template', inputs => safeSubstitute(template, asDict(inputs, 'The values of the template')))
}

function inputsFunction(name: string, apply: (inputs: Operand | undefined) => Value): Callable {
  return new Callable(`formatter_tool.${name}`, function* (args) {
    return apply(args.positional[0] ?? [...args.named.values()][0])
  })
}
