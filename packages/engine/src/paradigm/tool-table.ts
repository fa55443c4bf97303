import { perceive } from '#reference/perception'
import { stripSign } from '#reference/sign'
import { userInput } from './ask-tools.ts'
import { formatter } from './formatter-tool.ts'
import { asValue } from './operand.ts'
import { tool, type Tool } from './tools.ts'
import { canvas, chat, fileSystem, llm, promptTool, pythonInterpreter } from './world-tools.ts'

const perceptionRouter = tool('nothing', {
  strip_sign: { parameters: ['token'], pure: ({ values }) => stripSign(asValue(values[0], 'The token')) },
  perceive: {
    parameters: ['token', 'body?'],
    *step({ values, context }) {
      return yield* perceive(asValue(values[0], 'The token'), context.perception)
    },
  },
})

/** The tools by the names that paradigm files know them by. */
export const tools: ReadonlyMap<string, Tool> = new Map<string, Tool>([
  ['formatter_tool', formatter],
  ['perception_router', perceptionRouter],
  ['file_system', fileSystem],
  ['llm', llm],
  ['prompt_tool', promptTool],
  ['python_interpreter', pythonInterpreter],
  ['user_input', userInput],
  ['chat', chat],
  ['canvas', canvas],
])
