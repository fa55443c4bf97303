import { fileURLToPath } from 'node:url'
import { migrateDatabase } from '@slipway/server/db/migrate-database'
import { temporaryDataFolder } from '@slipway/server/app/testing'
import { inject } from 'vitest'
import { launchChildServer, type LaunchedServer } from '../testbed/child-server.ts'
import { openHosts, type Host, type Hosts } from '../testbed/hosts.ts'
import { startNats, type NatsServer } from '../testbed/nats.ts'
import { startPostgres, type PostgresServer } from '../testbed/postgres.ts'
import { Speaker } from './hosts-said.ts'

const port = 8000
const token = 'a-token-of-the-test'
const operatorProgram = fileURLToPath(new URL('hosts-operator.ts', import.meta.url))
const holderProgram = fileURLToPath(new URL('hosts-holder.ts', import.meta.url))
const clientProgram = fileURLToPath(new URL('hosts-client.ts', import.meta.url))

/** All that is waited for is short, so that cuts can be longer. */
const settings = {
  SLIPWAY_API_TOKEN: token,
  SLIPWAY_LEASE_SECONDS: '2',
  SLIPWAY_SPINE_LEASE_SECONDS: '2',
  SLIPWAY_OPERATOR_STALE_SECONDS: '2',
  SLIPWAY_DATABASE_TIMEOUT_SECONDS: '2',
  SLIPWAY_SOCKET_PING_SECONDS: '1',
  SLIPWAY_RATE_LIMIT_PER_MINUTE: '1000000',
  SLIPWAY_LOG_LEVEL: 'warn',
}

/** The broker's own times: without them it would take minutes to see that somebody is cut off. */
const brokerSettings = 'ping_interval: "1s"\nping_max: 2'
const brokerPort = 4222

export interface ServerOnHost {
  readonly host: Host
  readonly url: string
  readonly process: LaunchedServer
}

export interface NatsOnHost extends NatsServer {
  readonly host: Host
}

export interface SpeakerOnHost extends Speaker {
  readonly host: Host
}

/** Servers, their database, operators and a client, each on a host of its own. */
export class Deployment implements AsyncDisposable {
  readonly hosts: Hosts
  readonly postgres: PostgresServer
  readonly database: Host
  readonly servers: ServerOnHost[] = []
  readonly #open: AsyncDisposableStack
  readonly #dataDir: string

  private constructor(parts: {
    readonly open: AsyncDisposableStack
    readonly hosts: Hosts
    readonly postgres: PostgresServer
    readonly database: Host
    readonly dataDir: string
  }) {
    this.#open = parts.open
    this.hosts = parts.hosts
    this.postgres = parts.postgres
    this.database = parts.database
    this.#dataDir = parts.dataDir
  }

  static async open(): Promise<Deployment> {
    await using open = new AsyncDisposableStack()
    const hosts = open.use(await openHosts())
    const folder = open.use(await temporaryDataFolder())
    const database = await hosts.add('database')
    const postgres = open.use(await startPostgres({ host: database }))
    await migrateDatabase(postgres.url)
    return new Deployment({ open: open.move(), hosts, postgres, database, dataDir: folder.path })
  }

  async addServer(name: string, env: Readonly<Record<string, string>> = {}): Promise<ServerOnHost> {
    const host = await this.hosts.add(name)
    const process = launchChildServer(this.#dataDir, {
      host,
      program: inject('serverProgram'),
      env: {
        ...settings,
        SLIPWAY_HOST: host.address,
        SLIPWAY_PORT: String(port),
        SLIPWAY_DATABASE_URL: this.postgres.remoteUrl,
        ...env,
      },
    })
    this.#open.use(process)
    const server = { host, url: `http://${host.address}:${port}`, process }
    this.servers.push(server)
    return server
  }

  /** A NATS server, to which servers that are added with its URL connect. */
  async addBroker(name: string): Promise<NatsOnHost> {
    const host = await this.hosts.add(name)
    const broker = await startNats({
      host: host.address,
      port: brokerPort,
      settings: brokerSettings,
      command: [...host.prefix, 'nats-server'],
    })
    return Object.assign(this.#open.use(broker), { host })
  }

  /** An operator of the server at `url`. */
  async addOperator(name: string, url: string): Promise<SpeakerOnHost> {
    return this.#addSpeaker(name, [operatorProgram, url, token, name])
  }

  async addClient(name: string): Promise<SpeakerOnHost> {
    return this.#addSpeaker(name, [clientProgram, token, ...this.servers.map(({ url }) => url)])
  }

  /** A program that keeps others from a name in the database. */
  async addHolder(name: string): Promise<SpeakerOnHost> {
    return this.#addSpeaker(name, [holderProgram, this.postgres.remoteUrl])
  }

  /** Everything that servers have complained of. */
  complaints(): string {
    return this.servers.map(server => server.process.output()).join('')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync()
  }

  async #addSpeaker(name: string, parameters: readonly string[]): Promise<SpeakerOnHost> {
    const host = await this.hosts.add(name)
    const child = host.start(process.execPath, parameters, { stdio: ['pipe', 'pipe', 'inherit'] })
    return Object.assign(this.#open.use(new Speaker(name, child)), { host })
  }
}
