import { DBOS } from '@dbos-inc/dbos-sdk'
import { newRunId, playAll, serve, settings, step } from './peer.mjs'

const aDay = 86_400

const chain = DBOS.registerWorkflow(
  async (run, steps, _large) => {
    let value = ''
    for (let left = steps; left > 0; left--) value = await DBOS.runStep(() => step(run, left), { name: 'step' })
    return value
  },
  { name: 'chain' },
)
const waiting = DBOS.registerWorkflow(() => DBOS.recv('answer', aDay), { name: 'waiting' })

DBOS.setConfig({
  name: 'bench',
  systemDatabaseUrl: settings.databaseUrl,
  systemDatabasePoolSize: settings.poolSize,
  // Both say that a restarted process is the same one, so that it takes up what it left.
  applicationVersion: '1',
  executorID: 'bench',
  logLevel: 'error',
})
await DBOS.launch()

const start = (run, { steps, large = '' }) => DBOS.startWorkflow(chain, { workflowID: run })(run, steps, large)

serve({
  play: order => playAll(order, async run => (await start(run, order)).getResult()),
  async begin(order) {
    for (let n = 0; n < order.runs; n++) await start(newRunId(), order)
  },
  async wait({ runs }) {
    for (let n = 0; n < runs; n++) await DBOS.startWorkflow(waiting, { workflowID: newRunId() })()
  },
})
