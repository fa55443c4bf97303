// Builds elements. Text from the server only ever becomes text nodes and attribute values, never markup.

/**
 * An element with properties, `on…` listeners and children; null and false children are left out.
 * @param {string} tag
 * @param {Record<string, unknown>} [props]
 * @param {...(Node | string | number | null | false | undefined)} children
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue
    if (name.startsWith('on') && typeof value === 'function') node.addEventListener(name.slice(2), value)
    else if (name === 'class') node.className = String(value)
    else node.setAttribute(name, value === true ? '' : String(value))
  }
  put(node, ...children)
  return node
}

/** Replaces what is in `parent`. */
export function put(parent, ...children) {
  parent.replaceChildren(
    ...children.filter(child => child !== null && child !== undefined && child !== false).map(asNode),
  )
  return parent
}

function asNode(child) {
  return child instanceof Node ? child : document.createTextNode(String(child))
}

/** Says something to people who do not see the page. */
export function announce(text) {
  const region = document.getElementById('announcer')
  if (region) region.textContent = text
}

let dialogs = 0

/** Asks in a dialog. Resolves with what `submit` gives, or null when it is closed. */
export function askInDialog({ title, body, submitLabel, danger = false, submit = () => true }) {
  return new Promise(resolve => {
    let outcome = null
    const titleId = `dialog-title-${(dialogs += 1)}`
    const problem = el('p', { class: 'problem', role: 'alert', hidden: true })
    const go = el('button', { class: danger ? 'danger' : 'primary', type: 'submit' }, submitLabel)
    const form = el(
      'form',
      {
        onsubmit: async event => {
          event.preventDefault()
          go.disabled = true
          problem.hidden = true
          try {
            outcome = await submit(form)
            if (outcome !== null && outcome !== undefined) dialog.close()
          } catch (error) {
            showProblem(problem, error)
          } finally {
            go.disabled = false
          }
        },
      },
      el('h2', { id: titleId }, title),
      ...body,
      problem,
      el('div', { class: 'actions' }, el('button', { type: 'button', onclick: () => dialog.close() }, 'Cancel'), go),
    )
    const dialog = el('dialog', { 'aria-labelledby': titleId }, form)
    dialog.addEventListener('close', () => {
      dialog.remove()
      resolve(outcome)
    })
    document.body.append(dialog)
    dialog.showModal()
  })
}

/** Shows an error with its code, and below it the problems of a plan where it has any. */
export function showProblem(place, error) {
  const details = error?.details
  const problems = Array.isArray(details) ? details : (details?.problems ?? [])
  put(
    place,
    el('strong', {}, error?.message ?? String(error)),
    error?.code ? el('code', { class: 'code' }, error.code) : null,
    problems.length > 0 ? problemList(problems) : null,
  )
  place.hidden = false
}

export function problemList(problems) {
  return el(
    'ul',
    { class: 'problems' },
    ...problems.map(problem =>
      el(
        'li',
        { class: problem.severity ?? 'error' },
        el('span', { class: 'where' }, Array.isArray(problem.path) ? problem.path.join('.') : (problem.path ?? '')),
        ' ',
        problem.message ?? '',
        problem.code ? el('code', { class: 'code' }, problem.code) : null,
        problem.hint ? el('span', { class: 'hint' }, problem.hint) : null,
      ),
    ),
  )
}

export function duration(ms) {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  const two = value => String(value).padStart(2, '0')
  const hours = Math.floor(seconds / 3600)
  const minutes = Math.floor(seconds / 60) % 60
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}

export function byteCount(bytes) {
  if (bytes < 1000) return `${bytes} B`
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`
}

export function time(iso) {
  const date = new Date(iso)
  return el(
    'time',
    { datetime: iso, title: date.toLocaleString() },
    date.toLocaleString([], { dateStyle: 'short', timeStyle: 'medium' }),
  )
}

export function statusPill(status) {
  return el('span', { class: 'pill', 'data-status': status }, status)
}

/** A value of a plan as a person reads it: text as text, lists as lists, objects as tables. */
export function readable(value, depth = 0) {
  if (value === null || value === undefined) return el('span', { class: 'none' }, 'none')
  if (typeof value === 'string')
    return value === '' ? el('span', { class: 'none' }, 'empty text') : el('div', { class: 'text' }, value)
  if (typeof value !== 'object') return el('span', { class: 'scalar' }, String(value))
  if (JSON.isRawJSON?.(value)) return el('span', { class: 'scalar' }, value.rawJSON)
  if (depth > 5) return el('pre', {}, JSON.stringify(value, null, 2))
  if (Array.isArray(value)) {
    if (value.length === 0) return el('span', { class: 'none' }, 'empty list')
    if (value.length === 1) return readable(value[0], depth + 1)
    return el('ol', { class: 'values', start: 0 }, ...value.map(item => el('li', {}, readable(item, depth + 1))))
  }
  const entries = Object.entries(value)
  if (entries.length === 0) return el('span', { class: 'none' }, 'nothing')
  return el(
    'dl',
    { class: 'values' },
    ...entries.flatMap(([name, item]) => [el('dt', {}, name), el('dd', {}, readable(item, depth + 1))]),
  )
}
