// A service that knows nothing of Slipway: it finds the few numbers of which a noisy checkerboard was made.
import { createServer, type IncomingMessage } from 'node:http'

interface Request {
  /** Brightness 0 to 255 of each pixel, row by row, as base64. */
  readonly imageData: string
  readonly width: number
  readonly height: number
}

interface Seed {
  readonly kind: 'NoisyCheckerboard'
  /** Side of a square, in pixels. */
  readonly cell: number
  readonly offsetX: number
  readonly offsetY: number
  readonly dark: number
  readonly bright: number
  /** Mean distance of a pixel from the square that it is in. */
  readonly noise: number
}

const longestBody = 2_000_000
const largestSide = 256

const server = createServer((request, response) => {
  const reply = (status: number, value: unknown): void =>
    void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  if (request.method === 'GET' && request.url === '/health') return reply(200, { ok: true })
  if (request.method !== 'POST' || request.url !== '/distill') return reply(404, { error: 'POST /distill' })
  readBody(request)
    .then(text => reply(200, distill(JSON.parse(text) as Request)))
    .catch((error: unknown) => reply(400, { error: String(error) }))
})

server.listen(Number(process.env['PORT'] ?? 3000), '127.0.0.1', () => {
  const address = server.address()
  console.log(`The distiller listens on port ${typeof address === 'object' ? address?.port : ''}`)
})
process.on('SIGTERM', () => server.close())

function distill({ imageData, width, height }: Request): Seed {
  const pixels = Buffer.from(imageData, 'base64')
  if (!isSide(width) || !isSide(height) || pixels.length !== width * height)
    throw new Error(`imageData has ${pixels.length} pixels, and not ${width} x ${height}`)
  let best: Seed | null = null
  for (let cell = 2; cell <= Math.min(width, height) / 2; cell++)
    for (let offsetX = 0; offsetX < 2 * cell; offsetX++)
      for (let offsetY = 0; offsetY < cell; offsetY++) {
        const seed = fitOf(pixels, width, { cell, offsetX, offsetY })
        if (best === null || seed.noise < best.noise - 1e-9) best = seed
      }
  if (best === null) throw new Error('the image is too small')
  return best
}

function fitOf(pixels: Buffer, width: number, board: Pick<Seed, 'cell' | 'offsetX' | 'offsetY'>): Seed {
  const { cell, offsetX, offsetY } = board
  const sums = [0, 0]
  const counts = [0, 0]
  const squares = new Uint8Array(pixels.length)
  for (const [index, pixel] of pixels.entries()) {
    const column = Math.floor(((index % width) + offsetX) / cell)
    const row = Math.floor((Math.floor(index / width) + offsetY) / cell)
    const square = (column + row) % 2
    squares[index] = square
    sums[square] = (sums[square] ?? 0) + pixel
    counts[square] = (counts[square] ?? 0) + 1
  }
  const means = sums.map((sum, square) => sum / Math.max(1, counts[square] ?? 0))
  const [dark = 0, bright = 0] = means
  let distance = 0
  for (const [index, pixel] of pixels.entries()) distance += Math.abs(pixel - (means[squares[index] ?? 0] ?? 0))
  // A board that begins with a bright square is the one of the other offset.
  const noise = dark <= bright ? distance / pixels.length : Infinity
  return { kind: 'NoisyCheckerboard', ...board, dark: Math.round(dark), bright: Math.round(bright), noise }
}

function isSide(value: unknown): boolean {
  return Number.isInteger(value) && Number(value) >= 4 && Number(value) <= largestSide
}

async function readBody(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of request as AsyncIterable<Buffer>) {
    length += part.length
    if (length > longestBody) throw new Error('the body is too large')
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}
