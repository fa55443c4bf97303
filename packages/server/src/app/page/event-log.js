import { el } from './dom.js'

const shown = 500
const envelope = new Set(['event', 'id', 'seq', 'run_id', 'ts'])

/** The newest events of a run as lines. */
export function eventLog() {
  const list = el('ol', { class: 'log', tabindex: 0, 'aria-label': 'Events' })
  const count = el('span', { class: 'facts' })
  const node = el('details', { class: 'card' }, el('summary', {}, el('h2', {}, 'Events'), count), list)
  let total = 0
  const waiting = []
  const flush = () => {
    const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40
    list.append(...waiting.splice(0).slice(-shown).map(line))
    while (list.childElementCount > shown) list.firstElementChild.remove()
    count.textContent = total > shown ? `newest ${shown} of ${total}` : String(total)
    if (atEnd) list.scrollTop = list.scrollHeight
  }
  return {
    node,
    add(event) {
      total += 1
      if (waiting.push(event) === 1) requestAnimationFrame(flush)
    },
  }
}

function line(event) {
  const facts = Object.entries(event)
    .filter(([name]) => !envelope.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ')
  return el(
    'li',
    {},
    el('span', { class: 'when' }, new Date(event.ts).toLocaleTimeString([], { hour12: false })),
    el('strong', {}, event.event),
    el('span', { class: 'what', title: facts.slice(0, 2000) }, facts.slice(0, 400)),
  )
}
