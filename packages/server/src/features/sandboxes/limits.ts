import type { SandboxLimits } from './sandboxes.ts'

const MiB = 1024 * 1024

export const defaultLimits: SandboxLimits = {
  callTimeoutMs: 60_000,
  memoryBytes: 1024 * MiB,
  processes: 32,
  fileBytes: 64 * MiB,
  outputBytes: 8 * MiB,
  folderBytes: 1024 * MiB,
  folderFiles: 50_000,
}

/** The first that names a limit wins. */
export function limitsFrom(...sources: readonly (Partial<SandboxLimits> | undefined)[]): SandboxLimits {
  return Object.assign({ ...defaultLimits }, ...sources.toReversed().map(definedOf)) as SandboxLimits
}

function definedOf(limits: Partial<SandboxLimits> = {}): Partial<SandboxLimits> {
  return Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined))
}

/** A result may need more bytes as JSON than the text that `outputBytes` measures; what was printed comes on top. */
export function lineLimit(limits: SandboxLimits): number {
  return limits.outputBytes * 8 + 65_536
}
