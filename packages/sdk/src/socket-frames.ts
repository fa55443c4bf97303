export interface SocketOptions {
  readonly protocols: readonly string[]
  readonly signal: AbortSignal
  /** Text that is sent every `pingMs`; a socket that then stays silent for `silenceMs` counts as lost. */
  readonly pingMs: number
  readonly silenceMs: number
  /** Frames that may wait for a slow reader. Beyond that the socket is closed; its reader resumes by number. */
  readonly capacity: number
}

/** Why the frames ended: `opened` tells a lost connection from one that never came about. */
export interface SocketEnd {
  readonly opened: boolean
  readonly reason: string
}

/** The text frames of one WebSocket, in order, until it closes. Leaving the loop closes it. Never throws. */
export async function* socketFrames(url: string, options: SocketOptions): AsyncGenerator<string, SocketEnd, void> {
  const state = { opened: false, ended: undefined as string | undefined, heardAt: performance.now() }
  const frames: string[] = []
  let wake: () => void = () => undefined
  const socket = new WebSocket(url, [...options.protocols])
  const end = (reason: string): void => {
    state.ended ??= reason
    wake()
  }
  const onAbort = (): void => end('aborted')
  options.signal.addEventListener('abort', onAbort, { once: true })
  socket.addEventListener('open', () => {
    state.opened = true
  })
  socket.addEventListener('message', message => {
    state.heardAt = performance.now()
    if (typeof message.data !== 'string' || message.data === 'pong') return
    if (frames.length >= options.capacity) return end('the reader was too slow')
    frames.push(message.data)
    wake()
  })
  socket.addEventListener('error', () => end('the connection failed'))
  socket.addEventListener('close', closed => end(closed.reason || 'the connection was closed'))
  const heartbeat = setInterval(() => {
    if (performance.now() - state.heardAt > options.silenceMs) return end('the connection went silent')
    if (socket.readyState === WebSocket.OPEN) socket.send('ping')
  }, options.pingMs)
  try {
    if (options.signal.aborted) end('aborted')
    for (;;) {
      const frame = frames.shift()
      if (frame !== undefined) yield frame
      else if (state.ended !== undefined) return { opened: state.opened, reason: state.ended }
      else
        await new Promise<void>(resolve => {
          wake = resolve
        })
    }
  } finally {
    clearInterval(heartbeat)
    options.signal.removeEventListener('abort', onAbort)
    socket.close()
  }
}
