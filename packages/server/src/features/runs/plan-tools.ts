import type { PlanAgent } from '@slipway/engine/plan/agents'
import type { LoadedPlan } from '@slipway/engine/plan/manifest'
import { resolveProvision } from '@slipway/engine/plan/provisions'
import type { Effect, EffectRequest } from '@slipway/engine/run/effects'
import { AppError } from '@slipway/protocol/errors'

/** What a plan's agent file lets a step do. */
export interface PlanTools {
  /** Throws `tool.disabled` when the step may not make this call. */
  check(request: EffectRequest): void
  /** The longest that a script of the step may take; undefined where the plan sets no limit. */
  scriptTimeoutMs(flowIndex: string): number | undefined
}

interface PlanToolsOptions {
  readonly plan: LoadedPlan
  readonly agentOf: (flowIndex: string) => PlanAgent | null
}

export function planTools({ plan, agentOf }: PlanToolsOptions): PlanTools {
  return {
    check({ effect, flowIndex }) {
      const agent = agentOf(flowIndex)
      const tool = toolOf(effect)
      if (agent === null || tool === null || agent[tool].enabled) return
      // Prompts and scripts are part of the plan, not files that it works on.
      const isOwn = isReading(effect) && resolveProvision(plan, effect.path) !== null
      if (!isOwn) throw disabled(tool, { agent, flowIndex })
    },
    scriptTimeoutMs(flowIndex) {
      const seconds = agentOf(flowIndex)?.python.timeoutSeconds ?? null
      return seconds === null ? undefined : Math.ceil(seconds * 1000)
    },
  }
}

type Tool = 'fileSystem' | 'python' | 'userInput'

/** As the agent file calls them, and what they are for. */
const tools: Readonly<Record<Tool, { readonly key: string; readonly does: string }>> = {
  fileSystem: { key: 'file_system', does: 'read or write files' },
  python: { key: 'python_interpreter', does: 'run scripts' },
  userInput: { key: 'user_input', does: 'ask a person' },
}

function toolOf({ type }: Effect): Tool | null {
  switch (type) {
    case 'script.call':
    case 'script.execute':
      return 'python'
    case 'file.read':
    case 'file.exists':
    case 'file.write':
      return 'fileSystem'
    case 'input.ask':
    case 'chat.read':
      return 'userInput'
    case 'model.generate':
    case 'chat.write':
    case 'chat.close':
    case 'canvas.execute':
      return null
  }
}

function isReading(effect: Effect): effect is Extract<Effect, { type: 'file.read' | 'file.exists' }> {
  return effect.type === 'file.read' || effect.type === 'file.exists'
}

function disabled(tool: Tool, { agent, flowIndex }: { agent: PlanAgent; flowIndex: string }): AppError {
  const { key, does } = tools[tool]
  return new AppError(
    'tool.disabled',
    `Step ${flowIndex} may not ${does}: the plan's agent "${agent.id}" has ${key} disabled. Enable it in the plan's ` +
      'agent file, or give the step to another agent there.',
  )
}
