import { follow, request } from './connection.js'
import { el, put } from './dom.js'
import { plansSection } from './plans.js'
import { runsSection } from './runs.js'

/** Plans and runs side by side, kept up to date by the events of the whole server. */
export async function showHome({ main, navigate, setConnection }, signal) {
  document.title = 'Slipway'
  const plans = plansSection({ navigate, signal })
  const runs = runsSection({ signal })
  await Promise.all([plans.refresh(), runs.refresh()])
  if (signal.aborted) return
  put(main, el('h1', { class: 'unseen' }, 'Plans and runs'), el('div', { class: 'columns' }, plans.node, runs.node))
  const refreshRuns = calmly(() => runs.refresh(), signal)
  const refreshPlans = calmly(() => plans.refresh(), signal)
  const stop = follow('/ws/events', {
    after: null,
    numberOf: event => event.id,
    probe: () => request('GET', '/api/runs?limit=1', { signal }),
    onState(state) {
      if (signal.aborted) return
      setConnection(state)
      if (state === 'connected') {
        refreshRuns()
        refreshPlans()
      }
    },
    onEvent(event) {
      if (event.event.startsWith('plan:')) refreshPlans()
      else if (/^(run|execution|user_input):|^cycle:completed|^inference:(completed|failed)/.test(event.event))
        refreshRuns()
    },
  })
  signal.addEventListener('abort', stop)
}

/** Runs `work` soon, but not more often than twice a second however often it is asked for. */
function calmly(work, signal) {
  let timer = 0
  return () => {
    if (timer !== 0 || signal.aborted) return
    timer = setTimeout(async () => {
      try {
        if (!signal.aborted) await work()
      } catch {
        // The list stays as it was; the next event or reconnection asks again.
      } finally {
        timer = 0
      }
    }, 500)
  }
}
