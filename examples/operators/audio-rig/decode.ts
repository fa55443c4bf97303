import FFT from 'fft.js'

export interface Peak {
  readonly hertz: number
  /** Amplitude, as far as the window lets it be known. */
  readonly level: number
}

/** The strongest tones of a recording, loudest first; its length is a power of two. */
export function decode(recording: Float64Array, sampleRate: number, most: number): Peak[] {
  const size = recording.length
  const fft = new FFT(size)
  const windowed = Array.from(recording, (value, index) => value * hann(index, size))
  // Real and imaginary parts in turn.
  const spectrum = fft.createComplexArray() as number[]
  fft.realTransform(spectrum, windowed)
  const levels = Array.from(
    { length: size / 2 },
    (_, bin) =>
      // The window takes half of the amplitude, and the other half of the spectrum the other half.
      (4 * Math.hypot(spectrum[2 * bin] ?? 0, spectrum[2 * bin + 1] ?? 0)) / size,
  )
  const floor = 6 * median(levels)
  return levels
    .map((level, bin) => ({ level, bin }))
    .filter(({ level, bin }) => level > floor && level >= (levels[bin - 1] ?? 0) && level > (levels[bin + 1] ?? 0))
    .sort((a, b) => b.level - a.level)
    .slice(0, most)
    .map(({ level, bin }) => ({ hertz: (bin * sampleRate) / size, level }))
}

function hann(index: number, size: number): number {
  return 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / size)
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0
}
