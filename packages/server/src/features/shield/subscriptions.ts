import { orAbort } from '@slipway/kit/abort'
import type { Envelope } from '@slipway/protocol/bus/envelope'
import { fromWireNumber, type ClientBody, type ServerBodyInit } from '@slipway/protocol/bus/frames'
import { Topic } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import type { Messages, Spine } from '#features/spine/spine'
import { Stalled } from '#http/socket-life'

type Subscribe = Extract<ClientBody, { readonly case: 'subscribe' }>['value']

export interface SubscriptionsDeps {
  readonly spine: Spine
  readonly organisation: string
  /** Whether the client has room now. */
  readonly hasRoom: () => boolean
  /** Resolves once the client has room; false when nothing more is to be sent. */
  readonly ready: () => Promise<boolean>
  readonly send: (body: ServerBodyInit) => void
  readonly sendMessage: (message: Envelope, subscription: number) => void
  /** The client was too slow for a subscription without credit. */
  readonly onSlow: () => void
  readonly onError: (error: unknown, subscription: number) => void
}

/** Where a reader is. */
export interface Position {
  readonly subscription: number
  readonly after: number
}

interface Open {
  readonly id: number
  readonly source: { readonly topic: string } | { readonly jobId: string }
  readonly stop: AbortController
  after: number
  /** Messages that may still be sent; null for any number. */
  credit: number | null
  more: () => void
}

const mostOpen = 200
const mostCredit = 2 ** 32

/** What one client follows. */
export class Subscriptions {
  readonly #deps: SubscriptionsDeps
  readonly #open = new Map<number, Open>()

  constructor(deps: SubscriptionsDeps) {
    this.#deps = deps
  }

  get size(): number {
    return this.#open.size
  }

  positions(): Position[] {
    return [...this.#open.values()].map(({ id, after }) => ({ subscription: id, after }))
  }

  /**
   * Opens a subscription and gives the number behind which messages follow; nothing of it is sent before `begin`. Throws
   * `subscription.conflict`, `input.invalid` and `job.unknown`.
   */
  async open(asked: Subscribe): Promise<{ readonly after: number; readonly begin: () => void }> {
    const { subscription: id } = asked
    if (id === 0) throw new AppError('input.invalid', 'A subscription has a number from 1 on, chosen by the client.')
    this.#checkFree(id)
    const source = await this.#source(asked)
    const asOf = 'topic' in source ? await this.#deps.spine.messages.last() : 0
    const after = asked.after === undefined ? asOf : fromWireNumber(asked.after)
    // Another one may have been opened meanwhile.
    this.#checkFree(id)
    const open: Open = {
      id,
      source,
      stop: new AbortController(),
      after,
      credit: asked.credit ?? null,
      more: () => undefined,
    }
    this.#open.set(id, open)
    return { after, begin: () => void this.#pump(open) }
  }

  close(id: number): void {
    this.#known(id).stop.abort(new Error('Unsubscribed.'))
    this.#open.delete(id)
  }

  credit(id: number, messages: number): void {
    const open = this.#known(id)
    if (open.credit === null)
      throw new AppError('input.invalid', `Subscription ${id} was opened without credit, and takes none.`)
    open.credit = Math.min(mostCredit, open.credit + messages)
    open.more()
  }

  closeAll(): void {
    for (const id of [...this.#open.keys()]) this.close(id)
  }

  async #pump(open: Open): Promise<void> {
    const { signal } = open.stop
    try {
      for (let isOver = false; !isOver;) isOver = await this.#follow(open)
      if (signal.aborted) return
      if (!(await this.#deps.ready())) return
      this.#open.delete(open.id)
      this.#deps.send({ case: 'unsubscribed', value: { subscription: open.id, finished: true } })
    } catch (error) {
      if (signal.aborted) return
      // It stays open until the client was told where it may go on.
      if (error instanceof Stalled) return this.#deps.onSlow()
      this.#open.delete(open.id)
      this.#deps.onError(error, open.id)
    }
  }

  /** False when what follows is to be read from the log, because its client has let too much of it wait. */
  async #follow(open: Open): Promise<boolean> {
    for await (const delivery of this.#deliveries(open)) {
      if (delivery.type === 'cut') {
        if (open.credit !== null) return false
        this.#deps.onSlow()
        return true
      }
      if (open.credit !== null && open.credit <= 0) await room(open)
      if (!this.#deps.hasRoom() && !(await orAbort(this.#deps.ready(), open.stop.signal))) return true
      open.stop.signal.throwIfAborted()
      const { message } = delivery
      // From here to the next number nothing is waited for: what was sent is what is said to have been sent.
      this.#deps.sendMessage(message, open.id)
      open.after = 'topic' in open.source ? message.seq : (message.n ?? open.after)
      if (open.credit !== null) open.credit -= 1
    }
    return true
  }

  #deliveries({ source, after, stop: { signal } }: Open): ReturnType<Messages['follow']> {
    const { spine, organisation } = this.#deps
    const position = { organisation, after, signal }
    return 'topic' in source
      ? spine.messages.follow({ ...position, topics: [source.topic] })
      : spine.messages.followJob({ ...position, jobId: source.jobId })
  }

  async #source({ source }: Subscribe): Promise<Open['source']> {
    const { spine, organisation } = this.#deps
    if (source.case === 'topic' && Topic.safeParse(source.value).success) return { topic: source.value }
    if (source.case === 'jobId') return { jobId: (await spine.jobs.get(organisation, source.value)).id }
    throw new AppError('input.invalid', 'A subscription names a topic, such as genesis.results, or the id of a job.')
  }

  #checkFree(id: number): void {
    if (this.#open.has(id)) throw new AppError('subscription.conflict', `Subscription ${id} is open already.`)
    if (this.#open.size >= mostOpen)
      throw new AppError('subscription.conflict', `A client follows at most ${mostOpen} sources. Open another socket.`)
  }

  #known(id: number): Open {
    const open = this.#open.get(id)
    if (!open) throw new AppError('subscription.unknown', `There is no open subscription ${id}.`)
    return open
  }
}

/** Resolves once the client has given credit for another message. */
async function room(open: Open): Promise<void> {
  while (open.credit !== null && open.credit <= 0)
    await orAbort(
      new Promise<void>(resolve => {
        open.more = resolve
      }),
      open.stop.signal,
    )
}
