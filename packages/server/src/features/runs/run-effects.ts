import { unreachable } from '@slipway/kit/unreachable'
import type { Effect, EffectOutcome, EffectRequest } from '@slipway/engine/run/effects'
import { toPlain } from '@slipway/engine/value/codec'
import { PyDict, type Value } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'
import type { Models } from '#features/models/models'
import type { PythonSession } from '#features/sandboxes/sandboxes'
import type { Answer, People, Question } from './people.ts'
import type { PlanTools } from './plan-tools.ts'
import type { RunEventDraft } from './run-events.ts'
import type { InputRow } from './run-store.ts'
import { FileError, type RunFiles } from './run-files.ts'

/** Who answered a model call, and what it cost. */
export interface CallFacts {
  readonly agent: string | null
  readonly provider: string | null
  readonly model: string | null
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly attempts: number
}

export interface PerformedCall {
  readonly outcome: EffectOutcome
  readonly facts: CallFacts
  /** Files that a script wrote, relative to the plan's base folder. */
  readonly files: readonly string[]
  /** What watchers are told together with the outcome. */
  readonly events: readonly RunEventDraft[]
}

export interface RunEffectsDeps {
  readonly runId: string
  readonly planId: string
  readonly agentOf: (flowIndex: string) => string
  readonly tools: PlanTools
  readonly models: Models
  readonly people: People
  /** The run's files, once its folder is there. */
  readonly files: () => Promise<RunFiles>
  /** The run's one interpreter, started when it is first needed. */
  readonly python: () => Promise<PythonSession>
  readonly tell: (event: RunEventDraft) => void
  /** Puts a new question on disk together with its event. */
  readonly ask: (input: InputRow, event: RunEventDraft) => Promise<void>
  /** Milliseconds since 1970. */
  readonly now: () => number
}

const noFacts: CallFacts = {
  agent: null,
  provider: null,
  model: null,
  inputTokens: null,
  outputTokens: null,
  attempts: 1,
}

/** Performs the effects of one run. */
export class RunEffects {
  readonly #deps: RunEffectsDeps

  constructor(deps: RunEffectsDeps) {
    this.#deps = deps
  }

  /** Rejects only when `signal` aborts; every other failure is an outcome of the call. */
  async perform(request: EffectRequest, signal: AbortSignal): Promise<PerformedCall> {
    const about = { flow_index: request.flowIndex, key: request.key }
    const family = familyOf(request.effect)
    if (family !== null)
      this.#deps.tell({ event: `${family}:call_started`, data: { ...about, call: request.effect.type } })
    try {
      const { value, facts = noFacts, files = [], events = [] } = await this.#call(request, signal)
      const ended: RunEventDraft[] = family === null ? [] : [completed(family, about, request.effect, facts)]
      return { outcome: { ok: true, value }, facts, files, events: [...ended, ...events] }
    } catch (error) {
      signal.throwIfAborted()
      const outcome = failure(error)
      const events: RunEventDraft[] =
        family === null
          ? []
          : [{ event: `${family}:call_failed`, data: { ...about, call: request.effect.type, error: outcome.error } }]
      return {
        outcome,
        facts: { ...noFacts, agent: family === 'llm' ? this.#deps.agentOf(request.flowIndex) : null },
        files: [],
        events,
      }
    }
  }

  async #call(request: EffectRequest, signal: AbortSignal): Promise<Answered> {
    const { effect } = request
    this.#deps.tools.check(request)
    const timeoutMs = this.#deps.tools.scriptTimeoutMs(request.flowIndex)
    switch (effect.type) {
      case 'model.generate':
        return this.#generate(effect, { flowIndex: request.flowIndex, signal })
      case 'script.call':
        return this.#script(request, (python, onFiles) =>
          python.callFunction({ ...effect, timeoutMs, signal, onFiles }),
        )
      case 'script.execute':
        return this.#script(request, (python, onFiles) => python.execute({ ...effect, timeoutMs, signal, onFiles }))
      case 'file.read':
        return { value: await (await this.#deps.files()).read(effect.path) }
      case 'file.exists':
        return { value: await (await this.#deps.files()).exists(effect.path) }
      case 'file.write': {
        const location = await (await this.#deps.files()).write(effect.path, effect.content)
        return {
          value: location,
          events: [{ event: 'file:changed', data: { path: effect.path, flow_index: request.flowIndex } }],
        }
      }
      case 'input.ask':
        return this.#ask(request, effect.interaction, signal)
      case 'chat.read':
        return this.#readChat(request, signal)
      case 'chat.write':
        return { value: this.#sent(), events: [this.#chatMessage('assistant', effect.message)] }
      case 'chat.close':
        return { value: PyDict.from({ closed: true }), events: [] }
      case 'canvas.execute':
        return this.#canvas(effect)
      default:
        return unreachable(effect)
    }
  }

  async #script(
    { flowIndex }: EffectRequest,
    run: (python: PythonSession, onFiles: (paths: readonly string[]) => void) => Promise<Value>,
  ): Promise<Answered> {
    const files: string[] = []
    const value = await run(await this.#deps.python(), paths => files.push(...paths))
    return {
      value,
      files,
      events: files.map(path => ({ event: 'file:changed', data: { path, flow_index: flowIndex } })),
    }
  }

  async #generate(
    effect: Extract<Effect, { type: 'model.generate' }>,
    context: { readonly flowIndex: string; readonly signal: AbortSignal },
  ): Promise<Answered> {
    const agent = this.#deps.agentOf(context.flowIndex)
    const reply = await this.#deps.models.generate({
      agent,
      prompt: effect.prompt,
      json: effect.json,
      signal: context.signal,
    })
    return { value: reply.text, facts: { ...reply, agent } }
  }

  async #ask(
    request: EffectRequest,
    interaction: Extract<Effect, { type: 'input.ask' }>['interaction'],
    signal: AbortSignal,
  ): Promise<Answered> {
    const { answer, answered } = await this.#question(
      request,
      { type: interaction.type, prompt: interaction.prompt, initialText: interaction.initialText ?? null },
      signal,
    )
    return { value: answer, events: [answered] }
  }

  async #readChat(request: EffectRequest, signal: AbortSignal): Promise<Answered> {
    const asked = { type: 'chat', prompt: '', initialText: null } as const
    const { answer, answered } = await this.#question(request, asked, signal)
    const value = PyDict.from({ role: 'user', content: answer })
    return { value, events: [answered, this.#chatMessage('user', answer)] }
  }

  async #question(
    request: EffectRequest,
    asked: Pick<Question, 'type' | 'prompt' | 'initialText'>,
    signal: AbortSignal,
  ): Promise<{ readonly answer: Answer; readonly answered: RunEventDraft }> {
    const { runId, planId, people, ask } = this.#deps
    const question = { ...asked, runId, planId, key: request.key, flowIndex: request.flowIndex }
    const data = {
      flow_index: request.flowIndex,
      type: asked.type,
      prompt: asked.prompt,
      initial_text: asked.initialText,
    }
    const { inputId, answer } = await people.ask(question, {
      signal,
      write: input => ask(input, { event: 'user_input:request', data: { ...data, input_id: input.id } }),
    })
    // With the outcome itself, so that it is told once, whatever happens in between.
    const answered = {
      event: 'user_input:completed',
      data: { flow_index: request.flowIndex, input_id: inputId },
    } as const
    return { answer, answered }
  }

  #sent(): Value {
    return PyDict.from({ sent: true, timestamp: new Date(this.#deps.now()).toISOString() })
  }

  #chatMessage(role: string, content: Value): RunEventDraft {
    return { event: 'chat:message', data: { role, content: toPlain(content) } }
  }

  #canvas(effect: Extract<Effect, { type: 'canvas.execute' }>): Answered {
    const command = { command: toPlain(effect.command), params: toPlain(effect.params) }
    return {
      value: PyDict.from({ success: true, data: PyDict.from({ command: effect.command, params: effect.params }) }),
      events: [{ event: 'canvas:command', data: command }],
    }
  }
}

interface Answered {
  readonly value: Value
  readonly files?: readonly string[]
  readonly facts?: CallFacts
  readonly events?: readonly RunEventDraft[]
}

type Family = 'llm' | 'tool'

/** Calls that watchers see begin and end. Reading a prompt file is not worth two events. */
function familyOf(effect: Effect): Family | null {
  if (effect.type === 'model.generate') return 'llm'
  return effect.type === 'script.call' || effect.type === 'script.execute' ? 'tool' : null
}

function completed(family: Family, about: object, effect: Effect, facts: CallFacts): RunEventDraft {
  const cost =
    family === 'llm'
      ? {
          agent: facts.agent,
          provider: facts.provider,
          model: facts.model,
          input_tokens: facts.inputTokens,
          output_tokens: facts.outputTokens,
        }
      : {}
  return { event: `${family}:call_completed`, data: { ...about, call: effect.type, ...cost } }
}

function failure(error: unknown): Extract<EffectOutcome, { ok: false }> {
  if (error instanceof FileError) return { ok: false, error: { name: error.name, message: error.message } }
  if (error instanceof AppError) return { ok: false, error: { name: error.code, message: error.message } }
  if (error instanceof Error && 'syscall' in error)
    return { ok: false, error: { name: 'OSError', message: error.message } }
  throw error
}
