import { describe, expect, test } from 'vitest'

import { type Machine, refusedCalls, seccompFilter } from './seccomp.ts'

const ALLOWED = 'allowed'
const architectures = { x64: 0xc000003e, arm64: 0xc00000b7 }
const calls = {
  x64: { read: 0, clone: 56, clone3: 435, socketpair: 53, ioctl: 16, openat: 257, mseal: 462 },
  arm64: { read: 63, clone: 220, clone3: 435, socketpair: 199, ioctl: 29, openat: 56, mseal: 462 },
}

describe.each(['x64', 'arm64'] as const)('system call filter of %s', machine => {
  const verdict = (number: number, args: readonly number[] = []): string => run(machine, number, args)
  const { read, clone, clone3, socketpair, ioctl, openat, mseal } = calls[machine]

  test('[SANDBOX-28] ordinary calls pass', () => {
    expect([read, openat, mseal].map(number => verdict(number))).toEqual([ALLOWED, ALLOWED, ALLOWED])
  })

  test('[SANDBOX-28] every call of the table is refused with EPERM', () => {
    const numbers = Object.values(refusedCalls).flatMap(pair => pair[machine === 'x64' ? 0 : 1] ?? [])
    expect(numbers.length).toBeGreaterThan(45)
    expect(new Set(numbers).size).toBe(numbers.length)
    expect(numbers.filter(number => verdict(number) !== 'errno 1')).toEqual([])
    const used = [read, openat, clone, ioctl, socketpair]
    expect(numbers.filter(number => used.includes(number))).toEqual([])
  })

  test('[SANDBOX-28] threads start, processes and namespaces do not', () => {
    const thread = 0x3d0f00
    expect(verdict(clone, [thread])).toBe(ALLOWED)
    expect(verdict(clone, [17])).toBe('errno 1')
    expect(verdict(clone, [thread | 0x10000000])).toBe('errno 1')
    expect(verdict(clone3)).toBe('errno 38')
  })

  test('[SANDBOX-28] pairs of local sockets pass, others do not, nor characters pushed into a terminal', () => {
    expect([1, 2, 10, 16].map(family => verdict(socketpair, [family]))).toEqual([
      ALLOWED,
      ...Array<string>(3).fill('errno 1'),
    ])
    expect([0x5401, 0x5412, 0x541c].map(request => verdict(ioctl, [0, request]))).toEqual([
      ALLOWED,
      'errno 1',
      'errno 1',
    ])
  })

  test('[SANDBOX-28] calls newer than the table and those of another machine are refused', () => {
    expect([463, 467, 1000].map(number => verdict(number))).toEqual(Array(3).fill('errno 38'))
    expect(run(machine, read, [], 0x40000003)).toBe('killed')
    if (machine === 'x64') expect(verdict(0x40000000)).toBe('errno 38')
  })
})

test('[SANDBOX-28] there is no filter for a machine that is not in the table', () => {
  expect(seccompFilter('s390x')).toBeUndefined()
})

/** Runs the program as the kernel does. */
function run(machine: Machine, number: number, args: readonly number[], architecture = architectures[machine]): string {
  const bytes = seccompFilter(machine) ?? new Uint8Array()
  const program = new DataView(bytes.buffer)
  const data = new DataView(new ArrayBuffer(64))
  data.setUint32(0, number, true)
  data.setUint32(4, architecture, true)
  args.forEach((value, index) => data.setUint32(16 + 8 * index, value, true))
  let accumulator = 0
  for (let at = 0; at < bytes.length / 8; at++) {
    const code = program.getUint16(at * 8, true)
    const k = program.getUint32(at * 8 + 4, true)
    if (code === 0x06) return named(k)
    if (code === 0x20) accumulator = data.getUint32(k, true)
    else at += program.getUint8(at * 8 + (holds(code, accumulator, k) ? 2 : 3))
  }
  return 'fell off the end'
}

function holds(code: number, accumulator: number, k: number): boolean {
  if (code === 0x15) return accumulator === k
  if (code === 0x35) return accumulator >= k
  if (code === 0x45) return (accumulator & k) !== 0
  throw new Error(`Unknown instruction ${code}`)
}

function named(verdict: number): string {
  if (verdict === 0x7fff0000) return ALLOWED
  return verdict === 0x80000000 ? 'killed' : `errno ${verdict & 0xffff}`
}
