import { InvalidArgumentError } from 'commander'

/** Gathers an option that may be given several times. */
export function collect(value: string, before: readonly string[]): readonly string[] {
  return [...before, value]
}

export function positive(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('It has to be a whole number from 1.')
  return value
}

export function count(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('It has to be a whole number from 0.')
  return value
}

export function whole(text: string): number {
  const value = text.trim() === '' ? Number.NaN : Number(text)
  if (!Number.isInteger(value)) throw new InvalidArgumentError('It has to be a whole number.')
  return value
}

const secondsOf = { s: 1, m: 60, h: 3600, d: 86_400 } as const

/** Seconds of `90`, `90s`, `15m`, `2h` or `30d`. */
export function seconds(text: string): number {
  const [, digits = '', unit = 's'] = /^(\d+(?:\.\d+)?)([smhd])?$/.exec(text.trim()) ?? []
  const value = Number(digits) * secondsOf[unit as keyof typeof secondsOf]
  if (digits === '' || value <= 0)
    throw new InvalidArgumentError('It has to be a time such as 90 (seconds), 90s, 15m, 2h or 30d.')
  return value
}

/** Days of `30`, `30d`, `12h` and the like. */
export function days(text: string): number {
  const plain = Number(text)
  if (text.trim() !== '' && Number.isFinite(plain) && plain >= 0) return plain
  return seconds(text) / secondsOf.d
}

/** Whole numbers with commas between them. */
export function counts(text: string): readonly number[] {
  return text.split(',').map(count)
}

/** `axis=3`; what stands before the last `=` is the axis. */
export function axisPlace(text: string, before: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const at = text.lastIndexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write the axis and its index, such as row=0.')
  return { ...before, [text.slice(0, at).trim()]: count(text.slice(at + 1)) }
}
