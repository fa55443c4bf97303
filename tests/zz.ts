import { startNats } from './testbed/nats.ts'
import { startServer } from '@slipway/server/app/start-server'
import { connectOperator } from '@slipway/sdk/operator'
import { connect } from '@nats-io/transport-node'
import { jetstreamManager } from '@nats-io/jetstream'
import { mkdtempSync } from 'node:fs'
const t0=performance.now(); const log=(...a:unknown[])=>console.log(Math.round(performance.now()-t0),...a)
const nats = await startNats()
const token='operator-token-of-16'
const server = await startServer({ natsUrl: nats.url, apiToken: token, dataDir: mkdtempSync('/tmp/h1/d-'), port: 0, logLevel:'warn' } as never)
const { spine } = server.context
const submit = async () => (await spine.jobs.publish('default',{topic:'sum.jobs',schema:'arqonbus.sum.job.v1',payload:Buffer.from('{}')})).jobId
const op = connectOperator(nats.url, token, {id:'far', type:'sum', maxParallelJobs:1, onState: s=>log('state',s)})
op.subscribe('sum.jobs', ()=>{log('handler')})
const a = await submit()
await new Promise(r=>setTimeout(r,2000)); log((await spine.jobs.get('default',a)).state)
await nats.kill(); log('killed')
const b = await submit()
await nats.start(); log('started')
for(let i=0;i<8;i++){ await new Promise(r=>setTimeout(r,1000)); log((await spine.jobs.get('default',b)).state, await spine.jobs.attempts('default', b), server.context.relay?.state)}
const nc = await connect({servers: nats.url.slice(7)}); const jsm = await jetstreamManager(nc)
log((await jsm.streams.info('slipway-default')).state); for await (const c of jsm.consumers.list('slipway-default')) log(c)
await nc.close(); await op.close(); await server.stop('x'); await nats[Symbol.asyncDispose]()
