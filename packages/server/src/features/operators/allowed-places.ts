import { BlockList, isIP } from 'node:net'

/** What the server may call. */
export interface AllowedPlaces {
  /** Whether the host and port stand on the list. */
  isHost(url: URL): boolean
  /** Whether the host may be at this address: one of the public network, or one that is listed. */
  isAddress(address: string, host: string): boolean
}

export interface PlaceList {
  /** `api.example.com`, `api.example.com:8443`, `10.1.2.3:8080`, `[::1]:3000`; without a port any. */
  readonly hosts: readonly string[]
  /** Private networks that hosts of the list may be in, such as `10.1.0.0/16`. */
  readonly networks: readonly string[]
}

/** Addresses that are no public host's (IANA's registries of special purpose). */
const specialNetworks = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  '3fff::/20',
  '5f00::/16',
  'fc00::/7',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
]

const special = blockListOf(specialNetworks)

export function allowedPlaces({ hosts, networks }: PlaceList): AllowedPlaces {
  const listed = new Set(hosts.map(host => host.toLowerCase()))
  const open = blockListOf(networks)
  return {
    isHost: url => listed.has(url.hostname) || listed.has(`${url.hostname}:${portOf(url)}`),
    isAddress: (given, host) => {
      const address = withoutMapping(given)
      // An address that stands on the list itself was chosen by whoever wrote it.
      if (given === host && isIP(host) !== 0) return true
      return !contains(special, address) || contains(open, address)
    },
  }
}

/** `10.0.0.0/8` or `fc00::/7`. */
export function isNetwork(text: string): boolean {
  const [address = '', bits = ''] = text.split('/')
  const family = isIP(address)
  return family !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', bits] = network.split('/')
    list.addSubnet(address, Number(bits), isIP(address) === 4 ? 'ipv4' : 'ipv6')
  }
  return list
}

function contains(list: BlockList, address: string): boolean {
  return list.check(address, isIP(address) === 4 ? 'ipv4' : 'ipv6')
}

/** `::ffff:10.0.0.1` and `::ffff:a00:1` -> `10.0.0.1`. */
function withoutMapping(address: string): string {
  const [plain = ''] = address.split('%')
  const dotted = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(plain)
  if (dotted?.[1] !== undefined) return dotted[1]
  const hex = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/i.exec(plain)
  if (!hex) return plain
  const [high, low] = [Number.parseInt(hex[1] ?? '', 16), Number.parseInt(hex[2] ?? '', 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

function portOf(url: URL): string {
  return url.port || (url.protocol === 'https:' ? '443' : '80')
}
