import { allowedImports, type CheckAnswer, type LoadAnswer, type PolicyLog, type PolicyMessage } from './policy-abi.ts'
import { wasm, type WasmExports, type WasmModule } from './wasm.ts'

const mostLogs = 16
const mostLogChars = 1_000
const mostRejectChars = 500
const levels = ['error', 'warn', 'info', 'debug', 'trace'] as const

/** Thrown through the guest, which may catch it and goes on then; what it says afterwards counts no more. */
class Rejected extends Error {
  override readonly name = 'Rejected'
}

/** Compiles a module and starts it once, as every message will. */
export async function loadPolicy(bytes: Uint8Array): Promise<LoadAnswer> {
  try {
    const module = await wasm.compile(Uint8Array.from(bytes))
    const problem = interfaceProblem(module)
    if (problem !== null) return { type: 'unusable', problem }
    const guest = new Guest({ payload: new Uint8Array(), headers: {} })
    guest.start(module)
    const { policy_check: check, policy_alloc: alloc } = guest.exports
    if (typeof check !== 'function' || check.length !== 2)
      return { type: 'unusable', problem: 'policy_check takes two numbers, where the payload is and how long' }
    if (alloc !== undefined && (typeof alloc !== 'function' || alloc.length !== 1))
      return { type: 'unusable', problem: 'policy_alloc takes one number, the length of the payload' }
    return { type: 'loaded', module }
  } catch (error) {
    return { type: 'unusable', problem: messageOf(error) }
  }
}

/** Asks a fresh instance of the policy about the message. */
export function checkPolicy(module: WasmModule, message: PolicyMessage): CheckAnswer {
  const guest = new Guest(message)
  try {
    guest.start(module)
    return guest.check()
  } catch (error) {
    return guest.failed(error)
  }
}

function interfaceProblem(module: WasmModule): string | null {
  for (const { module: from, name, kind } of wasm.Module.imports(module))
    if (from !== 'env' || kind !== 'function' || !allowedImports.includes(name))
      return `it imports ${kind} ${from}.${name}, and only env.${allowedImports.join(', env.')} are there`
  const exports = new Map(wasm.Module.exports(module).map(({ name, kind }) => [name, kind]))
  if (exports.get('memory') !== 'memory') return 'it does not export its memory as memory'
  if (exports.get('policy_check') !== 'function') return 'it does not export the function policy_check'
  return null
}

/** One instance, for one message. */
class Guest {
  readonly #message: PolicyMessage
  readonly #logs: PolicyLog[] = []
  #rejected: { readonly number: number; readonly message: string } | null = null
  /** An access beyond its memory, which it may have caught. */
  #violation: string | null = null
  exports: WasmExports = {}

  constructor(message: PolicyMessage) {
    this.#message = message
  }

  start(module: WasmModule): void {
    const env = {
      host_log: (level: number, at: number, length: number) => this.#log(level, at, length),
      host_get_header: (nameAt: number, nameLength: number, outAt: number) =>
        this.#header(this.#text(nameAt, nameLength, mostLogChars), outAt),
      host_reject: (number: number, at: number, length: number) => {
        this.#rejected ??= { number, message: this.#text(at, length, mostRejectChars) }
        throw new Rejected()
      },
    }
    this.exports = new wasm.Instance(module, { env }).exports
  }

  check(): CheckAnswer {
    const { policy_check: check, policy_alloc: alloc } = this.exports
    const { payload } = this.#message
    const length = payload.byteLength
    const at = typeof alloc === 'function' ? Number(call(alloc, length)) >>> 0 : 0
    const memory = this.#memory()
    if (at + length > memory.byteLength)
      return { type: 'memory', why: `the payload of ${length} bytes has no room in its memory` }
    memory.set(payload, at)
    const said = typeof check === 'function' ? call(check, at, length) : undefined
    if (this.#rejected !== null || this.#violation !== null) return this.failed(null)
    if (said === 0) return { type: 'allowed', logs: this.#logs }
    if (typeof said !== 'number') return { type: 'failed', why: 'policy_check gave no number', logs: this.#logs }
    return { type: 'denied', number: said, message: '', logs: this.#logs }
  }

  failed(error: unknown): CheckAnswer {
    const logs = this.#logs
    if (this.#violation !== null) return { type: 'failed', why: this.#violation, logs }
    if (this.#rejected !== null) return { type: 'denied', ...this.#rejected, logs }
    const why = messageOf(error)
    if (error instanceof RangeError && /memory/i.test(why)) return { type: 'memory', why }
    return { type: 'failed', why, logs }
  }

  #memory(): Uint8Array {
    const { memory } = this.exports
    if (!(memory instanceof wasm.Memory)) throw this.#violated('it has no memory yet')
    return new Uint8Array(memory.buffer)
  }

  #log(level: number, at: number, length: number): number {
    const text = this.#text(at, length, mostLogChars)
    if (this.#logs.length >= mostLogs) return -1
    this.#logs.push({ level: levels[level] ?? 'trace', text })
    return 0
  }

  /** The value's length in bytes, and the value itself at `at`; -1 where the message has no such header. */
  #header(name: string, at: number): number {
    const { headers } = this.#message
    const value = Object.hasOwn(headers, name) ? headers[name] : undefined
    if (value === undefined) return -1
    const bytes = new TextEncoder().encode(value)
    const memory = this.#memory()
    const from = at >>> 0
    if (from + bytes.byteLength > memory.byteLength) throw this.#violated('a header has no room where it asked for it')
    memory.set(bytes, from)
    return bytes.byteLength
  }

  #text(at: number, length: number, most: number): string {
    const memory = this.#memory()
    const from = at >>> 0
    const to = from + (length >>> 0)
    if (to > memory.byteLength) throw this.#violated('it points beyond its memory')
    return new TextDecoder().decode(memory.subarray(from, Math.min(to, from + most)))
  }

  #violated(why: string): Error {
    this.#violation ??= why
    return new Error(why)
  }
}

/** Exported functions have no types in JavaScript; what comes back is looked at. */
function call(exported: (...values: number[]) => unknown, ...values: number[]): unknown {
  return exported(...values)
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 500) : String(error)
}
