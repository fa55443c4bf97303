import { sockets } from '@slipway/protocol/events'
import type { FrameSocketRoute } from '#http/frame-sockets'
import type { Shield } from './shield.ts'

/** `WS /bus`. */
export function busSocket(shield: Shield): FrameSocketRoute {
  const { maxFrameBytes, maxWaitingBytes } = shield.terms
  return {
    ...sockets.bus,
    maxFrameBytes,
    maxWaitingBytes,
    serve: (socket, request) => shield.serve(socket, request),
    onTooLarge: () => shield.refused('frame.too_large'),
  }
}
