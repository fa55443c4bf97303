// Loaded into a server before everything else. Its clock is wrong by CLOCK_SHIFT_MS from the start, and jumps on by
// CLOCK_JUMP_MS with every SIGUSR2. What measures durations goes on evenly, as it does on a real machine.
const startShift = Number(process.env['CLOCK_SHIFT_MS'] ?? 0)
const jump = Number(process.env['CLOCK_JUMP_MS'] ?? 0)
let shift = startShift
const RealDate = Date
const realNow = Date.now.bind(Date)

class ShiftedDate extends RealDate {
  constructor(...given: [] | [value: number | string | Date]) {
    if (given.length === 0) super(realNow() + shift)
    else super(given[0])
  }

  static override now(): number {
    return realNow() + shift
  }
}

globalThis.Date = ShiftedDate as DateConstructor
const { timeOrigin } = performance
Object.defineProperty(performance, 'timeOrigin', { get: () => timeOrigin + startShift })
process.on('SIGUSR2', () => {
  shift += jump
})
