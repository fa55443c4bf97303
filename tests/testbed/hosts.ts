import { execFile, execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { promisify } from 'node:util'

/** A machine of its own, as far as the network goes: processes started in it have its address and no other. */
export interface Host {
  readonly name: string
  readonly address: string
  /** What comes before a command line that is to run in it. It becomes the program, so that its process id is that one's. */
  readonly prefix: readonly string[]
  /** Starts a real program in it. */
  readonly start: (command: string, parameters: readonly string[], options?: SpawnOptions) => ChildProcess
}

/**
 * Hosts around one router, each in a network namespace of its own, with nothing in the network of this machine. A cut is
 * what a broken cable far away is: packets vanish both ways, nobody is told, and addresses stay reachable as far as
 * anybody can see.
 */
export interface Hosts extends AsyncDisposable {
  add(name: string): Promise<Host>
  /** Cuts the host off, or only the path between the two. */
  cut(host: Host, other?: Host): Promise<void>
  heal(host: Host, other?: Host): Promise<void>
}

/** Why there can be no `openHosts` here, or null. */
export function whyNoHosts(): string | null {
  if (process.platform !== 'linux') return 'network namespaces are of Linux'
  if (process.getuid?.() !== 0) return 'network namespaces need root'
  for (const program of ['ip', 'nsenter'])
    if (!answers(program, ['-V'])) return `there is no ${program} (Debian: apt-get install iproute2 util-linux)`
  return (whyNot ??= { reason: tried() }).reason
}

export async function openHosts(): Promise<Hosts> {
  await removeLeftOvers()
  const router = nameOf('router')
  const hosts: string[] = []
  const cuts = new Map<string, readonly (readonly string[])[]>()
  try {
    await makeRouter(router)
  } catch (error) {
    await remove(router)
    throw error
  }
  return {
    add: async name => {
      const space = nameOf(name)
      hosts.push(space)
      return addHost({ name, space, router, index: hosts.length })
    },
    cut: async (host, other) => {
      const key = linkOf(host, other)
      if (cuts.has(key)) throw new Error(`${key} is cut already.`)
      const rules = lossOf(host, other)
      cuts.set(key, rules)
      for (const rule of rules) await ip('-n', router, 'rule', 'add', ...rule)
    },
    heal: async (host, other) => {
      const key = linkOf(host, other)
      for (const rule of cuts.get(key) ?? []) await ip('-n', router, 'rule', 'del', ...rule)
      cuts.delete(key)
    },
    async [Symbol.asyncDispose]() {
      for (const space of [...hosts, router]) await remove(space)
    },
  }
}

const run = promisify(execFile)
const prefix = 'slipway-hosts-'
let whyNot: { readonly reason: string | null } | null = null

function nameOf(name: string): string {
  return `${prefix}${process.pid}-${name}`
}

function linkOf(host: Host, other: Host | undefined): string {
  return [host, other]
    .map(end => end?.name ?? 'all')
    .sort()
    .join(' to ')
}

/** The router forgets what it takes for the route of these packets, without a word to the sender. */
function lossOf(host: Host, other: Host | undefined): string[][] {
  const there = other === undefined ? [] : ['to', other.address]
  const back = other === undefined ? [] : ['from', other.address]
  return [
    ['from', host.address, ...there, 'blackhole'],
    [...back, 'to', host.address, 'blackhole'],
  ]
}

async function makeRouter(router: string): Promise<void> {
  await ip('netns', 'add', router)
  await run('nsenter', [netOf(router), 'sh', '-c', forward])
}

const forward = 'echo 1 > /proc/sys/net/ipv4/ip_forward'

async function addHost(options: {
  readonly name: string
  readonly space: string
  readonly router: string
  readonly index: number
}): Promise<Host> {
  const { name, space, router, index } = options
  // Nothing outside of these namespaces can reach them; the numbers only tell one test's addresses from another's.
  const net = `10.${(process.pid >> 8) & 255}.${process.pid & 255}`
  const [gateway, address] = [`${net}.${4 * index + 1}`, `${net}.${4 * index + 2}`]
  await ip('netns', 'add', space)
  await ip('-n', router, 'link', 'add', 'name', `to${index}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space)
  await ip('-n', router, 'addr', 'add', `${gateway}/30`, 'dev', `to${index}`)
  await ip('-n', router, 'link', 'set', `to${index}`, 'up')
  await ip('-n', space, 'addr', 'add', `${address}/30`, 'dev', 'eth0')
  for (const link of ['lo', 'eth0']) await ip('-n', space, 'link', 'set', link, 'up')
  await ip('-n', space, 'route', 'add', 'default', 'via', gateway)
  return {
    name,
    address,
    prefix: ['nsenter', netOf(space)],
    start: (command, parameters, started = {}) => spawn('nsenter', [netOf(space), command, ...parameters], started),
  }
}

function netOf(space: string): string {
  return `--net=/run/netns/${space}`
}

/** Those of processes that were killed before they could tidy up. */
async function removeLeftOvers(): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'list'])
  for (const [, space = '', pid] of stdout.matchAll(/^(slipway-hosts-(\d+)-\S+)/gm))
    if (!isAlive(Number(pid))) await remove(space)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** The namespace with whatever still runs in it. */
async function remove(space: string): Promise<void> {
  const { stdout } = await run('ip', ['netns', 'pids', space]).catch(() => ({ stdout: '' }))
  for (const pid of stdout.split('\n').filter(Boolean)) end(Number(pid))
  await ip('netns', 'del', space).catch(() => undefined)
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}

async function ip(...parameters: readonly string[]): Promise<void> {
  await run('ip', parameters)
}

function answers(program: string, parameters: readonly string[]): boolean {
  try {
    execFileSync(program, parameters, { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Containers may have root and yet no right to any of this, so it is tried. */
function tried(): string | null {
  const space = nameOf('trial')
  const trials: readonly (readonly [string, readonly string[]])[] = [
    ['ip', ['netns', 'add', space]],
    ['ip', ['-n', space, 'link', 'add', 'name', 'to1', 'type', 'veth', 'peer', 'name', 'eth0']],
    ['ip', ['-n', space, 'rule', 'add', 'from', '10.0.0.1', 'blackhole']],
    ['nsenter', [netOf(space), 'sh', '-c', forward]],
  ]
  try {
    const failed = trials.find(([program, parameters]) => !answers(program, parameters))
    return failed === undefined ? null : `this machine allows no \`${failed.flat().join(' ')}\``
  } finally {
    answers('ip', ['netns', 'del', space])
  }
}
