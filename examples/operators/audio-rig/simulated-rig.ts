/** A loudspeaker, some air and a microphone, as far as a program can have them. */
export interface Rig {
  readonly sampleRate: number
  /** Plays tones together and records what comes back. */
  capture(tones: readonly Tone[], samples: number): Float64Array
}

export interface Tone {
  readonly hertz: number
  /** 0 to 1. */
  readonly level: number
}

/** The same recording for the same seed: noise of about `noise`, and an echo. */
export function simulatedRig({ seed = 1, noise = 0.05, sampleRate = 16_384 } = {}): Rig {
  return {
    sampleRate,
    capture(tones, samples) {
      const random = randomOf(seed)
      const echoAfter = Math.round(sampleRate * 0.004)
      const played = Float64Array.from({ length: samples }, (_, index) =>
        tones.reduce((sum, { hertz, level }) => sum + level * Math.sin((2 * Math.PI * hertz * index) / sampleRate), 0),
      )
      return played.map((value, index) => value + 0.3 * (played[index - echoAfter] ?? 0) + noise * (2 * random() - 1))
    },
  }
}

function randomOf(seed: number): () => number {
  let state = seed >>> 0 || 1
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
