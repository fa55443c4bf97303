// Talks to the server: requests with readable errors, and event sockets that come back by themselves.
import { askInDialog, el } from './dom.js'

const tokenKey = 'slipway.token'

export class ApiError extends Error {
  constructor(code, message, { details, status } = {}) {
    super(message)
    this.name = 'ApiError'
    this.code = code
    this.details = details
    this.status = status
  }
}

/** Sends a request and gives the answer's JSON. Asks for the token when the server wants one. */
export async function request(method, path, options = {}) {
  return (await requestPage(method, path, options)).body
}

/** As `request`, with the cursor of the next page of a list. */
export async function requestPage(method, path, { body, signal } = {}) {
  const response = await send(method, path, { body, signal })
  const text = await response.text()
  if (response.status === 401) {
    await askForToken()
    return requestPage(method, path, { body, signal })
  }
  const json = parse(text)
  if (!response.ok) {
    const error = json?.error
    throw new ApiError(
      error?.code ?? `status ${response.status}`,
      error?.message ?? 'The server answered with an error.',
      {
        details: error?.details,
        status: response.status,
      },
    )
  }
  return { body: json, next: nextOf(response.headers.get('link')) }
}

async function send(method, path, { body, signal }) {
  const token = sessionStorage.getItem(tokenKey)
  const headers = { accept: 'application/json' }
  if (token) headers.authorization = `Bearer ${token}`
  if (body !== undefined && !(body instanceof FormData)) headers['content-type'] = 'application/json'
  try {
    return await fetch(path, {
      method,
      headers,
      body: body === undefined || body instanceof FormData ? body : JSON.stringify(body),
      signal,
    })
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(
      'server.unreachable',
      'The server does not answer. It may be stopped; this page goes on when it is back.',
    )
  }
}

/** Uploads a form with progress from 0 to 1, which `fetch` does not tell. */
export function upload(path, form, onProgress) {
  return new Promise((resolve, reject) => {
    const sending = new XMLHttpRequest()
    sending.open('POST', path)
    const token = sessionStorage.getItem(tokenKey)
    if (token) sending.setRequestHeader('authorization', `Bearer ${token}`)
    sending.upload.addEventListener(
      'progress',
      event => event.lengthComputable && onProgress(event.loaded / event.total),
    )
    sending.addEventListener('error', () =>
      reject(new ApiError('server.unreachable', 'The upload was cut off. Is the server running?')),
    )
    sending.addEventListener('load', () => {
      const json = parse(sending.responseText)
      if (sending.status === 401)
        askForToken()
          .then(() => upload(path, form, onProgress))
          .then(resolve, reject)
      else if (sending.status < 400) resolve(json)
      else
        reject(
          new ApiError(
            json?.error?.code ?? `status ${sending.status}`,
            json?.error?.message ?? 'The server refused the upload.',
            {
              details: json?.error?.details,
            },
          ),
        )
    })
    sending.send(form)
  })
}

/** Parses JSON; numbers that JavaScript cannot hold keep their digits. */
export function parse(text) {
  try {
    return JSON.parse(text, (_key, value, context) =>
      typeof value === 'number' && context?.source !== undefined && String(value) !== context.source && JSON.rawJSON
        ? JSON.rawJSON(context.source)
        : value,
    )
  } catch {
    return undefined
  }
}

function nextOf(link) {
  const next = (link ?? '').split(',').find(part => /rel="?next"?/.test(part))
  const target = next?.match(/<([^>]*)>/)?.[1]
  return target ? new URL(target, location.origin).searchParams.get('after') : null
}

let asking = null

/** One question at a time, however many requests were refused. */
function askForToken() {
  asking ??= openTokenDialog().finally(() => {
    asking = null
  })
  return asking
}

async function openTokenDialog() {
  const refused = sessionStorage.getItem(tokenKey) !== null
  const field = el('input', { id: 'token', type: 'password', autocomplete: 'off', required: true, autofocus: true })
  const token = await askInDialog({
    title: 'This server asks for a token',
    body: [
      el(
        'p',
        {},
        refused
          ? 'The server did not accept that token.'
          : 'It is one that `slipway token create` printed, or the value of SLIPWAY_API_TOKEN that the server was started with.',
      ),
      el('label', { for: 'token' }, 'Token'),
      field,
    ],
    submitLabel: 'Continue',
    submit: () => field.value.trim() || null,
  })
  if (token === null)
    throw new ApiError('auth.required', 'Without a token the server shows nothing. Reload the page to enter one.')
  sessionStorage.setItem(tokenKey, token)
}

/**
 * Follows a socket, from `after` on, through lost connections. `numberOf` gives an event's number, by which it goes on.
 * Returns a function that ends it.
 */
export function follow(path, { after, numberOf, onEvent, onState, probe }) {
  let seen = after
  let attempt = 0
  let stopped = false
  let socket = null
  let timer = 0
  const retry = async reason => {
    if (stopped) return
    attempt += 1
    onState('lost')
    // The socket does not say why it was refused; the same thing over HTTP does, and asks for the token.
    if (attempt > 1 || reason === 'unauthorized') {
      try {
        await probe()
      } catch (error) {
        if (['run.unknown', 'auth.required', 'auth.forbidden'].includes(error.code)) return onState('refused')
      }
    }
    if (stopped) return
    const longest = Math.min(250 * 2 ** attempt, 10_000)
    timer = setTimeout(connect, longest / 2 + (longest / 2) * Math.random())
  }
  const connect = () => {
    if (stopped) return
    const token = sessionStorage.getItem(tokenKey)
    const url = `${location.origin.replace(/^http/, 'ws')}${path}${seen === null ? '' : `?after=${seen}`}`
    let reason = ''
    socket = new WebSocket(url, token ? [`slipway.bearer.${encodeURIComponent(token)}`] : [])
    socket.addEventListener('message', message => {
      const event = parse(message.data)
      if (event === undefined) return
      attempt = 0
      if (event.event === 'connected') {
        seen ??= event.after
        onState('connected')
      } else if (event.event === 'closing') {
        reason = event.reason
        if (reason === 'finished') stop()
      } else if (seen === null || numberOf(event) > seen) {
        seen = numberOf(event)
        onEvent(event)
      }
    })
    socket.addEventListener('close', () => void retry(reason))
  }
  const stop = () => {
    stopped = true
    clearTimeout(timer)
    socket?.close()
  }
  connect()
  return stop
}
