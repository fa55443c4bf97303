import { startNats } from './testbed/nats.ts'
import { startServer } from '@slipway/server/app/start-server'
import { connectOperator } from '@slipway/sdk/operator'
import { connect } from '@nats-io/transport-node'
import { jetstreamManager } from '@nats-io/jetstream'
import { mkdtempSync } from 'node:fs'
const t0=performance.now(); const log=(...a:unknown[])=>console.log(Math.round(performance.now()-t0),...a)
const nats = await startNats()
const token='operator-token-of-16'
const server = await startServer({ natsUrl: nats.url, apiToken: token, dataDir: mkdtempSync('/tmp/h1/d-'), port: 0, logLevel:'error' } as never)
const { spine, operators } = server.context
const nc = await connect({servers: nats.url.slice(7)}); const jsm = await jetstreamManager(nc)
const info = async (w:string)=>{ try{const i = await jsm.consumers.info('slipway-default','sum-1'); const s=await jsm.streams.info('slipway-default'); log(w,{pending:i.num_pending, ackp:i.num_ack_pending, redel:i.num_redelivered, msgs:s.state.messages, max:i.config.max_ack_pending})}catch(e){log(w,String(e))} }
const submit = async () => (await spine.jobs.publish('default',{topic:'sum.jobs',schema:'arqonbus.sum.job.v1',payload:Buffer.from('{}')})).jobId
const op = (id='sum-1') => connectOperator(nats.url, token, {id, type:'sum', maxParallelJobs:1, onState: s=>log('state',s)})
const go = Promise.withResolvers<void>(), begun=Promise.withResolvers<void>()
const first = op(); first.subscribe('sum.jobs', async()=>{begun.resolve(); await go.promise})
const [held, waiting]=[await submit(), await submit()]
await begun.promise; await info('begun')
const drained = first.drain()
await new Promise(r=>setTimeout(r,300)); go.resolve(); await drained; log('drained'); await info('drained')
const again = Promise.withResolvers<void>()
const second = op(); second.subscribe('sum.jobs', async(_p,{signal})=>{ again.resolve(); await new Promise<void>(r=>signal.addEventListener('abort',()=>r(),{once:true}))})
setTimeout(()=>void info('1s'),1000)
await again.promise; log('again'); await info('again')
await second.close(); log('closed'); await info('closed')
await new Promise(r=>setTimeout(r,500)); log((await spine.jobs.get('default',waiting)).state); await info('end')
await nc.close(); await server.stop('x'); await nats[Symbol.asyncDispose]()
