import { Annotation, END, interrupt, START, StateGraph } from '@langchain/langgraph'
import { newRunId, playAll, serve, settings, step } from './peer.mjs'

const State = Annotation.Root({ run: Annotation(), left: Annotation(), value: Annotation(), large: Annotation() })

/**
 * A chain of steps as a graph that goes round one node. `durability: 'sync'` puts each step's checkpoint into the
 * database before the next one starts; without it the writes run behind.
 */
export async function serveGraph(checkpointer, { unfinishedThreads, close }) {
  const chain = new StateGraph(State)
    .addNode('step', async ({ run, left }) => ({ value: await step(run, left), left: left - 1 }))
    .addEdge(START, 'step')
    .addConditionalEdges('step', ({ left }) => (left > 0 ? 'step' : END), ['step', END])
    .compile({ checkpointer })
  const waiting = new StateGraph(State)
    .addNode('ask', () => ({ value: interrupt('What is the answer?') }))
    .addEdge(START, 'ask')
    .addEdge('ask', END)
    .compile({ checkpointer })
  const configOf = run => ({ configurable: { thread_id: run }, durability: 'sync', recursionLimit: 1_000_000 })
  const play = (run, { steps, large = '' }) => chain.invoke({ run, left: steps, value: '', large }, configOf(run))
  // The library has no recovery of its own: a program that uses it goes over its threads at the start.
  if (settings.resume) {
    for (const run of await unfinishedThreads()) {
      chain.invoke(null, configOf(run)).catch(error => console.error(error))
    }
  }
  serve(
    {
      play: order => playAll(order, run => play(run, order)),
      async begin(order) {
        for (let n = 0; n < order.runs; n++) play(newRunId(), order).catch(error => console.error(error))
      },
      async wait({ runs }) {
        for (let n = 0; n < runs; n++) {
          const run = newRunId()
          await waiting.invoke({ run, left: 0, value: '', large: '' }, configOf(run))
        }
      },
    },
    close,
  )
}
