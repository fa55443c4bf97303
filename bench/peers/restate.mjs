import * as restate from '@restatedev/restate-sdk'
import { serve, settings, step } from './peer.mjs'

// The bench itself is the client: it calls the server's ingress, which calls these handlers.
const chain = restate.service({
  name: 'chain',
  handlers: {
    async play(context, { run, steps }) {
      let value = ''
      for (let left = steps; left > 0; left--) value = await context.run('step', () => step(run, left))
      return value
    },
    async wait(context) {
      return await context.awakeable().promise
    },
  },
})
const silent = () => undefined
await restate.serve({ services: [chain], port: settings.port, logger: silent })
serve({})
