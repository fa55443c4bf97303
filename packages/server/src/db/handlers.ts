import type { Channel, NoticeHandler } from './backend.ts'

/** Who listens to what in this process. */
export class Handlers {
  readonly #byChannel = new Map<Channel, Set<NoticeHandler>>()

  add(channel: Channel, handler: NoticeHandler): Disposable {
    const handlers = this.#byChannel.get(channel) ?? new Set()
    this.#byChannel.set(channel, handlers.add(handler))
    return { [Symbol.dispose]: () => void handlers.delete(handler) }
  }

  channels(): readonly Channel[] {
    return [...this.#byChannel.keys()]
  }

  tell(channel: string, payload: string | null): void {
    for (const handler of this.#byChannel.get(channel as Channel) ?? []) handler(payload)
  }
}
