import { applyEvent, startProgress, type ProgressView } from './progress.ts'
import { progressLine } from './progress-line.ts'
import { renderProgress } from './render-progress.ts'
import type { Run } from '@slipway/protocol/runs'
import type { RunEvent } from '@slipway/protocol/events'
import type { Terminal } from './terminal.ts'

/** Shows a run while it is under way. */
export interface Display {
  /** Whether it is redrawn in place. */
  readonly live: boolean
  show(event: RunEvent): void
  connection(reason: string | null): void
  /** Takes the display off the screen while something else is written there. */
  pause(): void
  resume(): void
  /** Draws for the last time. */
  close(): ProgressView
}

export interface DisplayOptions {
  readonly terminal: Terminal
  /** Where plain lines go when nothing can be redrawn. */
  readonly line: (text: string) => void
  /** Whether to redraw in place. */
  readonly live: boolean
  /** Plain lines begin behind this event. */
  readonly linesAfter: number
}

const redrawMs = 100

export function openDisplay(run: Run, options: DisplayOptions): Display {
  return options.live ? liveDisplay(run, options.terminal) : lineDisplay(run, options)
}

function lineDisplay(run: Run, { line, linesAfter }: DisplayOptions): Display {
  let view = startProgress(run)
  return {
    live: false,
    show(event) {
      view = applyEvent(view, event)
      const text = event.seq > linesAfter ? progressLine(event, view) : null
      if (text !== null) line(text)
    },
    connection(reason) {
      if (reason !== null && view.connection === null) line(`Connection lost, trying again: ${reason}`)
      view = { ...view, connection: reason }
    },
    pause: () => undefined,
    resume: () => undefined,
    close: () => view,
  }
}

function liveDisplay(run: Run, terminal: Terminal): Display {
  let view = startProgress(run)
  // The server's clock may differ from ours: running time counts on from its newest event.
  let heard = performance.now()
  let drawn = 0
  let paused = false
  const erase = (): string => (drawn === 0 ? '' : `\x1b[${drawn}A\r\x1b[J`)
  const draw = (): void => {
    if (paused) return
    const now = (view.heardAt ?? Date.now()) + performance.now() - heard
    const size = { width: terminal.columns() - 1, height: terminal.rows() - 2 }
    const lines = renderProgress(view, { ...size, now, paint: terminal.paint })
    terminal.write(`${erase()}${lines.join('\n')}\n`)
    drawn = lines.length
  }
  // However the process ends, the cursor has to come back.
  const showCursor = (): void => terminal.write('\x1b[?25h')
  process.once('exit', showCursor)
  terminal.write('\x1b[?25l')
  const timer = setInterval(draw, redrawMs)
  return {
    live: true,
    show(event) {
      view = applyEvent(view, event)
      heard = performance.now()
    },
    connection(reason) {
      view = { ...view, connection: reason }
    },
    pause() {
      terminal.write(`${erase()}\x1b[?25h`)
      drawn = 0
      paused = true
    },
    resume() {
      terminal.write('\x1b[?25l')
      paused = false
    },
    close() {
      clearInterval(timer)
      draw()
      showCursor()
      process.off('exit', showCursor)
      return view
    },
  }
}
