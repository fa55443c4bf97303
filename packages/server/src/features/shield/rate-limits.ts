import { AppError } from '@slipway/protocol/errors'

interface Bucket {
  tokens: number
  at: number
}

const bucketsKept = 10_000

/** So many a second of each key, and as many at once after a quiet second. */
export class RateLimit {
  readonly #perSecond: number
  readonly #now: () => number
  /** In the order in which they were used last. */
  readonly #buckets = new Map<string, Bucket>()

  /** `now` in milliseconds. */
  constructor(perSecond: number, now: () => number) {
    this.#perSecond = perSecond
    this.#now = now
  }

  /** Throws `rate.limited`, which says when to try again. `what` names the limit. */
  take(key: string, what: string): void {
    const bucket = this.#bucket(key)
    if (bucket.tokens < 1) {
      const retryAfterMs = Math.ceil(((1 - bucket.tokens) / this.#perSecond) * 1000)
      throw new AppError(
        'rate.limited',
        `More than ${this.#perSecond} a second ${what}. Try again in ${retryAfterMs} ms.`,
        {
          details: { retryAfterMs },
        },
      )
    }
    bucket.tokens -= 1
  }

  #bucket(key: string): Bucket {
    const now = this.#now()
    const known = this.#buckets.get(key)
    this.#buckets.delete(key)
    if (this.#buckets.size >= bucketsKept) this.#forget(now)
    const tokens = known ? known.tokens + ((now - known.at) / 1000) * this.#perSecond : this.#perSecond
    const bucket = { tokens: Math.min(this.#perSecond, tokens), at: now }
    this.#buckets.set(key, bucket)
    return bucket
  }

  /** Buckets that nobody has used for a second are full, as new ones are. If all are in use, the oldest goes. */
  #forget(now: number): void {
    for (const [key, { at }] of this.#buckets) {
      if (now - at < 1000 && this.#buckets.size < bucketsKept) return
      this.#buckets.delete(key)
    }
  }
}
