import { orAbort } from '@slipway/kit/abort'
import { unreachable } from '@slipway/kit/unreachable'
import type { Effect, EffectError, EffectOutcome, EffectRequest } from '@slipway/engine/run/effects'
import { toPlain } from '@slipway/engine/value/codec'
import { PyDict, type Value } from '@slipway/engine/value/value'
import { AppError } from '@slipway/protocol/errors'
import type { Models } from '#features/models/models'
import type { PythonSession } from '#features/sandboxes/sandboxes'
import { repetitionKey, type Answer, type People, type Question } from './people.ts'
import type { PlanTools } from './plan-tools.ts'
import type { RunEventDraft } from './run-events.ts'
import type { InputRow } from './input-store.ts'
import { StepClocks } from './step-clocks.ts'
import { FileError } from './run-files.ts'
import type { CallKind } from './waiting-calls.ts'
import type { Workshop } from './workshop.ts'

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
  /** The run's files and its interpreter. */
  readonly workshop: Workshop
  /** Whether a step's calls may be made again when it is not known whether they were made. */
  readonly mayRepeat: (flowIndex: string) => boolean
  readonly stepTimeoutMs: number | null
  readonly inputTimeoutMs: number | null
  /** Tells watchers; resolves once it is on disk, together with a question if there is one. */
  readonly announce: (event: RunEventDraft, input: InputRow | null) => Promise<void>
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

/** How one effect is to be performed. */
export interface Performance {
  readonly signal: AbortSignal
  /** It was under way when a server ended, and nobody knows whether it was done. */
  readonly wasInterrupted: boolean
  /** Told when nothing but a person's answer is missing, and when that is over. */
  readonly waits: (forPerson: boolean) => void
}

/** Performs the effects of one run. */
export class RunEffects {
  readonly #deps: RunEffectsDeps
  readonly #clocks: StepClocks

  constructor(deps: RunEffectsDeps) {
    this.#deps = deps
    this.#clocks = new StepClocks(deps.stepTimeoutMs)
  }

  kindOf(request: EffectRequest, wasInterrupted: boolean): CallKind {
    const { effect, flowIndex } = request
    if (effect.type === 'input.ask' || effect.type === 'chat.read') return 'patient'
    if (wasInterrupted && !this.#deps.mayRepeat(flowIndex)) return 'patient'
    return isRead(request) ? 'read' : 'work'
  }

  /** What watchers are told before the call is made, and a later drive after a crash; null for calls without a start. */
  begun(request: EffectRequest, wasInterrupted: boolean): RunEventDraft | null {
    const family = familyOf(request.effect)
    if (family === null || (wasInterrupted && !this.#deps.mayRepeat(request.flowIndex))) return null
    return started(family, request)
  }

  /** Rejects only when `signal` aborts; every other failure is an outcome of the call. */
  async perform(request: EffectRequest, how: Performance): Promise<PerformedCall> {
    const about = { flow_index: request.flowIndex, key: request.key }
    const family = familyOf(request.effect)
    try {
      await this.#confirmRepetition(request, how)
      const { value, facts = noFacts, files = [], events = [] } = await this.#inTime(request, how)
      const ended: RunEventDraft[] = family === null ? [] : [completed(family, about, request.effect, facts)]
      return { outcome: { ok: true, value }, facts, files, events: [...ended, ...events] }
    } catch (error) {
      how.signal.throwIfAborted()
      const outcome = failure(error)
      return {
        outcome,
        facts: { ...noFacts, agent: family === 'llm' ? this.#deps.agentOf(request.flowIndex) : null },
        files: [],
        events: failed(request, family, outcome.error),
      }
    }
  }

  async #confirmRepetition(request: EffectRequest, how: Performance): Promise<void> {
    const { effect, flowIndex, key } = request
    if (!how.wasInterrupted || this.#deps.mayRepeat(flowIndex)) return
    const prompt =
      `Step ${flowIndex} was making a call (${effect.type}) when the server ended, and it is not known whether the ` +
      'call was carried out. Make it again? With "false" the step fails.'
    const asked = { key: repetitionKey(key), type: 'repeat_call', prompt, initialText: null } as const
    const { answer } = await this.#question(request, asked, how)
    if (answer !== true)
      throw new AppError('call.not_repeated', `It was decided not to make the call of step ${flowIndex} again.`)
    const family = familyOf(effect)
    if (family !== null) await this.#deps.announce(started(family, request), null)
  }

  async #inTime(request: EffectRequest, how: Performance): Promise<Answered> {
    const { effect, flowIndex, key } = request
    if (effect.type === 'input.ask' || effect.type === 'chat.read') return this.#call(request, how)
    const limit = this.#clocks.limitOf(flowIndex, key)
    if (limit === null) return this.#call(request, how)
    const answered = this.#call(request, { ...how, signal: AbortSignal.any([how.signal, limit]) })
    answered.catch(() => undefined)
    // Not every call hears a signal at once, and none may outlast its step.
    return orAbort(answered, limit)
  }

  async #call(request: EffectRequest, how: Performance): Promise<Answered> {
    const { effect } = request
    const { signal } = how
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
        return { value: await this.#deps.workshop.read(effect.path) }
      case 'file.exists':
        return { value: await this.#deps.workshop.exists(effect.path) }
      case 'file.write': {
        const location = await (await this.#deps.workshop.files()).write(effect.path, effect.content)
        return {
          value: location,
          events: [{ event: 'file:changed', data: { path: effect.path, flow_index: request.flowIndex } }],
        }
      }
      case 'input.ask':
        return this.#ask(request, effect.interaction, how)
      case 'chat.read':
        return this.#readChat(request, how)
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
    const value = await run(await this.#deps.workshop.python(), paths => files.push(...paths))
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
    how: Performance,
  ): Promise<Answered> {
    const { type, prompt, initialText = null } = interaction
    const { answer, answered } = await this.#question(request, { key: request.key, type, prompt, initialText }, how)
    return { value: answer, events: [answered] }
  }

  async #readChat(request: EffectRequest, how: Performance): Promise<Answered> {
    const asked = { key: request.key, type: 'chat', prompt: '', initialText: null } as const
    const { answer, answered } = await this.#question(request, asked, how)
    const value = PyDict.from({ role: 'user', content: answer })
    return { value, events: [answered, this.#chatMessage('user', answer)] }
  }

  async #question(
    { flowIndex }: EffectRequest,
    asked: Pick<Question, 'key' | 'type' | 'prompt' | 'initialText'>,
    how: Performance,
  ): Promise<{ readonly answer: Answer; readonly answered: RunEventDraft }> {
    const { runId, planId, people, announce, inputTimeoutMs } = this.#deps
    const { type, prompt, initialText } = asked
    const data = { flow_index: flowIndex, type, prompt, initial_text: initialText }
    const { inputId, answer } = await people.ask(
      { ...asked, runId, planId, flowIndex, openForMs: inputTimeoutMs },
      {
        signal: how.signal,
        write: input => announce({ event: 'user_input:request', data: { ...data, input_id: input.id } }, input),
        asked: () => how.waits(true),
      },
    )
    how.waits(false)
    // With the outcome itself, so that it is told once, whatever happens in between.
    const answered = { event: 'user_input:completed', data: { flow_index: flowIndex, input_id: inputId } } as const
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

/** Whether it changes nothing and leaves no trace outside of this server. */
export function isRead({ effect }: EffectRequest): boolean {
  return effect.type === 'file.read' || effect.type === 'file.exists'
}

type Family = 'llm' | 'tool'

/** Calls that watchers see begin and end. Reading a prompt file is not worth two events. */
function familyOf(effect: Effect): Family | null {
  if (effect.type === 'model.generate') return 'llm'
  return effect.type === 'script.call' || effect.type === 'script.execute' ? 'tool' : null
}

function started(family: Family, { key, flowIndex, effect }: EffectRequest): RunEventDraft {
  return { event: `${family}:call_started`, data: { flow_index: flowIndex, key, call: effect.type } }
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

function failed({ effect, flowIndex, key }: EffectRequest, family: Family | null, error: EffectError): RunEventDraft[] {
  const about = { flow_index: flowIndex, key }
  if (error.name === 'input.cancelled')
    return [{ event: 'user_input:cancelled', data: { ...about, reason: error.message } }]
  if (error.name === 'input.expired') return [{ event: 'user_input:expired', data: about }]
  return family === null ? [] : [{ event: `${family}:call_failed`, data: { ...about, call: effect.type, error } }]
}

function failure(error: unknown): Extract<EffectOutcome, { ok: false }> {
  if (error instanceof FileError) return { ok: false, error: { name: error.name, message: error.message } }
  if (error instanceof AppError) return { ok: false, error: { name: error.code, message: error.message } }
  if (error instanceof Error && 'syscall' in error)
    return { ok: false, error: { name: 'OSError', message: error.message } }
  throw error
}
