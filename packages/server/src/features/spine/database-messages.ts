import { randomUUIDv7 } from 'node:crypto'
import { Organisation, Payload, SchemaId, Trace } from '@slipway/protocol/bus/envelope'
import { Topic, topicKind } from '@slipway/protocol/bus/topics'
import { AppError } from '@slipway/protocol/errors'
import { z } from 'zod'
import type { Tx } from '#db/database'
import { checked } from './checked.ts'
import { QueueLane, type GroupCommit } from './group-commit.ts'
import type { Delivery, FollowJob, FollowTopics } from './message-log.ts'
import type { MessageDraft } from './message-store.ts'
import type { PayloadSchemas } from './payload-schemas.ts'
import type { SpineParts } from './spine-parts.ts'
import type { Messages, NewMessage } from './spine.ts'

export interface DatabaseMessagesOptions {
  readonly parts: SpineParts
  readonly commits: GroupCommit
  readonly schemas: PayloadSchemas
}

const Shape = z.object({
  topic: Topic,
  type: z.enum(['event', 'control']),
  schema: SchemaId,
  payload: Payload,
  trace: Trace.optional(),
})

const messagesPerCommit = 500
const topicsAtOnce = 50

/** Messages that are no jobs, in the database. */
export class DatabaseMessages implements Messages {
  readonly #options: DatabaseMessagesOptions
  readonly #lane: QueueLane<MessageDraft, { readonly id: string }>

  constructor(options: DatabaseMessagesOptions) {
    this.#options = options
    this.#lane = new QueueLane({
      work: (tx, drafts: readonly MessageDraft[]) => {
        this.#append(tx, drafts)
        return Promise.resolve(drafts.map(({ id }) => ({ ok: true, value: { id } }) as const))
      },
      limit: messagesPerCommit,
    })
    options.commits.add(this.#lane)
  }

  async publish(organisation: string, message: NewMessage): Promise<{ readonly id: string }> {
    const { parts, commits } = this.#options
    const draft = await this.#draft(organisation, message)
    if (commits.isOver) throw new AppError('server.stopping', 'The server is stopping. Ask another one.')
    if (this.#lane.size >= parts.bounds.waiting)
      throw new AppError('server.busy', 'Too many messages wait for the database. Try again in a moment.')
    const published = this.#lane.add(draft)
    commits.wake()
    return published
  }

  async publishIn(tx: Tx, organisation: string, messages: readonly NewMessage[]): Promise<void> {
    const drafts: MessageDraft[] = []
    for (const message of messages) drafts.push(await this.#draft(organisation, message, tx))
    this.#append(tx, drafts)
  }

  last(): Promise<number> {
    return this.#options.parts.messages.last()
  }

  async *follow(options: FollowTopics): AsyncGenerator<Delivery, void> {
    const topics = checked(z.array(Topic).min(1).max(topicsAtOnce), options.topics)
    yield* this.#counted(this.#options.parts.messages.followTopics({ ...options, topics: [...new Set(topics)] }))
  }

  async *followJob(options: FollowJob): AsyncGenerator<Delivery, void> {
    yield* this.#counted(this.#options.parts.messages.followJob(options))
  }

  async *#counted(deliveries: AsyncGenerator<Delivery, void>): AsyncGenerator<Delivery, void> {
    for await (const delivery of deliveries) {
      if (delivery.type === 'cut') this.#options.parts.counters.add('readersCut')
      yield delivery
    }
  }

  #append(tx: Tx, drafts: readonly MessageDraft[]): void {
    const { messages, counters } = this.#options.parts
    messages.append(tx, drafts)
    tx.afterCommit(() => counters.add('messages', drafts.length))
  }

  async #draft(organisation: string, given: NewMessage, tx?: Tx): Promise<MessageDraft> {
    const { topic, type, schema, payload, trace } = checked(Shape, given)
    const kind = topicKind(topic)
    // Jobs, results and streams come with what the queue promises of them; whoever publishes past it would break that.
    if (kind !== 'events' && kind !== 'system')
      throw new AppError(
        'input.invalid',
        `Messages to ${topic} come from jobs alone. Publish a job, or choose a topic of another ending.`,
      )
    const { parts, schemas } = this.#options
    await schemas.check(checked(Organisation, organisation), { schema, payload }, tx)
    const ids = { id: randomUUIDv7(), jobId: null, n: null, status: null }
    return { ...ids, organisation, topic, type, schema, payload, trace: trace ?? null, ts: parts.now() }
  }
}
