// The page at `/`: plans and runs; at `/runs/<id>`: one run, live.
import { el, put, showProblem } from './dom.js'
import { showHome } from './home.js'
import { showRun } from './run.js'

const main = document.getElementById('main')
const connectionText = document.getElementById('connection-text')
let leave = () => undefined

const states = {
  connecting: 'Connecting…',
  connected: 'Live',
  lost: 'Connection lost, trying again…',
  refused: 'Not connected',
  ended: 'Finished',
}

/** Shows whether events arrive. */
function setConnection(state) {
  document.getElementById('connection').dataset.state = state
  // Only on a change, so that it is not read aloud again and again.
  if (connectionText.textContent !== states[state]) connectionText.textContent = states[state]
}

/** Goes to a path of this page without loading it anew. */
function navigate(path) {
  history.pushState(null, '', path)
  void show()
  main.focus({ preventScroll: true })
  scrollTo(0, 0)
}

async function show() {
  leave()
  leave = () => undefined
  setConnection('connecting')
  const run = location.pathname.match(/^\/runs\/([^/]+)\/?$/)?.[1]
  const page = { main, navigate, setConnection }
  const stop = new AbortController()
  leave = () => stop.abort()
  try {
    if (run) await showRun(page, decodeURIComponent(run), stop.signal)
    else await showHome(page, stop.signal)
  } catch (error) {
    if (stop.signal.aborted) return
    const problem = el('div', { class: 'card problem', role: 'alert' })
    showProblem(problem, error)
    problem.append(el('p', {}, el('a', { href: '/', 'data-route': true }, 'Back to plans and runs')))
    put(main, problem)
    setConnection('refused')
  }
}

document.addEventListener('click', event => {
  const link = event.target instanceof Element ? event.target.closest('a[data-route]') : null
  if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
  event.preventDefault()
  navigate(link.getAttribute('href'))
})
addEventListener('popstate', () => void show())
// A file dropped beside the deploy field would otherwise replace the page.
addEventListener('dragover', event => event.preventDefault())
addEventListener('drop', event => event.preventDefault())

void show()
