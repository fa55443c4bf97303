import { createHash } from 'node:crypto'
import {
  AckPolicy,
  DiscardPolicy,
  jetstream,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type JetStreamClient,
  type JetStreamManager,
} from '@nats-io/jetstream'
import { headers, nanos, type NatsConnection } from '@nats-io/transport-node'
import { connectionHeader } from '@slipway/protocol/bus/broker'
import { allKept, encodeToken, jobSubjects } from '@slipway/protocol/bus/subjects'
import { AppError } from '@slipway/protocol/errors'
import type { JobCarrier } from '../spine.ts'

export interface NatsJobsOptions {
  /** Of each stream. */
  readonly replicas: number
}

type Terms = Parameters<JobCarrier['open']>[1]

const publishMs = 5_000
/** Jobs that are kept for all operators of an organisation. */
const mostKept = 100_000
/** What is older is no lease any more: the longest is an hour. */
const keptMs = 3_600_000
/** As long as a job is known by its number. */
const duplicateMs = 120_000
/** An operator that is not there for so long is forgotten by the broker. */
const forgetMs = 3_600_000
/** Of a message besides its content. */
const headerBytes = 1_024
/** A stream of this name is there with other settings. */
const otherSettings = 10_058
/** There is no such consumer, or no such stream. */
const isAbsent: ReadonlySet<number> = new Set([10_014, 10_059])
const longestName = 100

/**
 * Jobs on their way to operators, in JetStream: a stream for each organisation, which its operators' users may be allowed
 * alone, and a durable consumer for each operator. What is in there is leased and committed already; what is lost there
 * comes back when its lease ends.
 */
export class NatsJobs {
  readonly #nc: NatsConnection
  readonly #options: NatsJobsOptions
  readonly #client: JetStreamClient
  readonly #manager: Promise<JetStreamManager>
  readonly #streams = new Map<string, Promise<void>>()

  constructor(nc: NatsConnection, options: NatsJobsOptions) {
    this.#nc = nc
    this.#options = options
    this.#client = jetstream(nc, { timeout: publishMs })
    this.#manager = jetstreamManager(nc, { checkAPI: false, timeout: publishMs })
    this.#manager.catch(() => undefined)
  }

  /** For the jobs of one connection. */
  carrier(organisation: string, connection: string): JobCarrier {
    const terms = new Map<string, Terms>()
    const open = new Set<string>()
    const ensure = async (operator: string): Promise<void> => {
      const known = terms.get(operator)
      if (known === undefined || open.has(operator)) return
      await this.#stream(organisation)
      await this.#addConsumer(organisation, operator, known)
      open.add(operator)
    }
    return {
      open: async (operator, given) => {
        const known = terms.get(operator)
        if (given.isAnew || known?.maxJobs !== given.maxJobs || known.leaseMs !== given.leaseMs) open.delete(operator)
        terms.set(operator, given)
        try {
          if (given.isAnew) await this.#dropConsumer(organisation, operator)
          await ensure(operator)
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error)
          throw new AppError('server.unreachable', `The broker keeps no jobs now: ${reason}`, { cause: error })
        }
      },
      carry: async (operator, { id, fence }, frame) => {
        if (frame.length > (this.#nc.info?.max_payload ?? Infinity) - headerBytes) return false
        await ensure(operator)
        try {
          await this.#publish({ organisation, operator, connection }, { name: `${id}.${fence}`, frame })
        } catch (error) {
          // Somebody may have removed what was there.
          open.clear()
          this.#streams.delete(organisation)
          throw error
        }
        return true
      },
    }
  }

  async #publish(
    { organisation, operator, connection }: Record<'organisation' | 'operator' | 'connection', string>,
    { name, frame }: { readonly name: string; readonly frame: Uint8Array },
  ): Promise<void> {
    const about = headers()
    about.set(connectionHeader, connection)
    await this.#client.publish(jobSubjects(organisation, operator).kept, frame, {
      msgID: name,
      headers: about,
      expect: { streamName: streamName(organisation) },
    })
  }

  /** Once for each organisation; a failure is forgotten. */
  #stream(organisation: string): Promise<void> {
    const known = this.#streams.get(organisation)
    if (known) return known
    const added = this.#addStream(organisation)
    this.#streams.set(organisation, added)
    added.catch(() => this.#streams.delete(organisation))
    return added
  }

  async #addStream(organisation: string): Promise<void> {
    const { streams } = await this.#manager
    const name = streamName(organisation)
    const config = {
      subjects: [allKept(organisation)],
      retention: RetentionPolicy.Workqueue,
      discard: DiscardPolicy.New,
      storage: StorageType.File,
      max_msgs: mostKept,
      max_age: nanos(keptMs),
      duplicate_window: nanos(duplicateMs),
      num_replicas: this.#options.replicas,
    }
    try {
      await streams.add({ name, ...config })
    } catch (error) {
      if (!(error instanceof JetStreamApiError && error.code === otherSettings)) throw error
      await streams.update(name, config)
    }
  }

  /** What it had handed over and heard nothing of comes again with the next one, and takes up no room until then. */
  async #dropConsumer(organisation: string, operator: string): Promise<void> {
    const { consumers } = await this.#manager
    try {
      await consumers.delete(streamName(organisation), consumerName(operator))
    } catch (error) {
      if (!(error instanceof JetStreamApiError && isAbsent.has(error.code))) throw error
    }
  }

  async #addConsumer(organisation: string, operator: string, terms: Terms): Promise<void> {
    const { consumers } = await this.#manager
    const { kept, handed } = jobSubjects(organisation, operator)
    await consumers.add(streamName(organisation), {
      durable_name: consumerName(operator),
      filter_subject: kept,
      deliver_subject: handed,
      // Of two programs that say they are this operator one gets each job.
      deliver_group: 'operator',
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(terms.leaseMs),
      max_ack_pending: terms.maxJobs,
      inactive_threshold: nanos(forgetMs),
    })
  }
}

/** Of the jobs of an organisation: its token where that is short, which permissions may name. */
export function streamName(organisation: string): string {
  return `slipway-${shortened(encodeToken(organisation))}`
}

function consumerName(operator: string): string {
  return shortened(encodeToken(operator))
}

function shortened(token: string): string {
  return token.length <= longestName ? token : `_${createHash('sha256').update(token).digest('hex')}`
}
