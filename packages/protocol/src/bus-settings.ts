import { z } from 'zod'
import { isBrokerUrl } from './bus/broker.ts'
import { count, flag, type Setting } from './setting.ts'

/** Of the bus, and of what looks at its messages or maps them. */
export const busSettings = {
  natsUrl: {
    variables: ['SLIPWAY_NATS_URL'],
    type: z
      .string()
      .refine(isBrokerUrl, 'Neither nats://user:password@host:4222 nor tls:// for an encrypted connection.')
      .nullable(),
    fallback: null,
    says: 'NATS broker with JetStream over which operators are served that do not reach this server: `nats://user:password@host:4222`, or `tls://`; several of one cluster separated by commas.',
    secret: true,
  },
  natsReplicas: {
    variables: ['SLIPWAY_NATS_REPLICAS'],
    yaml: 'nats.replicas',
    type: z.coerce.number().int().min(1).max(5),
    fallback: 1,
    says: 'On how many servers of a NATS cluster jobs on their way to operators are kept.',
  },
  mappingTimeoutMs: {
    variables: ['SLIPWAY_MAPPING_TIMEOUT_MS'],
    yaml: 'mapping.timeout_ms',
    type: z.coerce.number().int().min(10).max(60_000),
    fallback: 250,
    says: 'Longest time that an expression of a circuit or proxy may take for one input, in milliseconds.',
  },
  mappingMemoryBytes: {
    variables: ['SLIPWAY_MAPPING_MEMORY_BYTES'],
    yaml: 'mapping.memory_bytes',
    type: z.coerce.number().int().min(16_777_216).max(4_294_967_296),
    fallback: 67_108_864,
    says: 'Most memory that a thread of expressions may have, in bytes.',
  },
  mappingWorkers: {
    variables: ['SLIPWAY_MAPPING_WORKERS'],
    yaml: 'mapping.workers',
    type: z.coerce.number().int().min(1).max(64),
    fallback: 2,
    says: 'Threads on which expressions of circuits and proxies are evaluated.',
  },
  mappingQueue: {
    variables: ['SLIPWAY_MAPPING_QUEUE'],
    yaml: 'mapping.queue',
    type: count,
    fallback: 1_000,
    says: 'Inputs of one organisation that may wait for its expressions; further ones are told to come again.',
  },
  busJson: {
    variables: ['SLIPWAY_BUS_JSON'],
    yaml: 'bus.json',
    type: flag,
    fallback: 'false',
    says: 'Whether the bus takes frames as JSON text beside protobuf: for trying things out.',
  },
  busMaxFrameBytes: {
    variables: ['SLIPWAY_BUS_MAX_FRAME_BYTES'],
    yaml: 'bus.max_frame_bytes',
    type: z.coerce.number().int().min(1024).max(67_108_864),
    fallback: 2_097_152,
    says: 'Largest frame that the bus takes, in bytes. A payload has at most 1,048,576.',
  },
  busMaxWaitingBytes: {
    variables: ['SLIPWAY_BUS_MAX_WAITING_BYTES'],
    yaml: 'bus.max_waiting_bytes',
    type: z.coerce.number().int().min(1024),
    fallback: 1_048_576,
    says: 'Bytes that may wait for one client of the bus before nothing more is sent to it until it has taken some.',
  },
  busMaxSockets: {
    variables: ['SLIPWAY_BUS_MAX_SOCKETS'],
    yaml: 'bus.max_sockets',
    type: count,
    fallback: 10_000,
    says: 'Clients of the bus that one server serves at a time.',
  },
  busSocketsPerToken: {
    variables: ['SLIPWAY_BUS_SOCKETS_PER_TOKEN'],
    yaml: 'bus.sockets_per_token',
    type: count,
    fallback: 1_000,
    says: 'Clients of the bus with the same token that one server serves at a time.',
  },
  busFramesPerSecond: {
    variables: ['SLIPWAY_BUS_FRAMES_PER_SECOND'],
    yaml: 'bus.frames_per_second',
    type: count,
    fallback: 10_000,
    says: 'Frames a second that one server takes with the same token; of what operators say of their jobs as many again.',
  },
  busTopicFramesPerSecond: {
    variables: ['SLIPWAY_BUS_TOPIC_FRAMES_PER_SECOND'],
    yaml: 'bus.topic_frames_per_second',
    type: count,
    fallback: 5_000,
    says: 'Messages and jobs a second that one server takes for a topic of an organisation.',
  },
  busIdleSeconds: {
    variables: ['SLIPWAY_BUS_IDLE_SECONDS'],
    yaml: 'bus.idle_seconds',
    type: z.coerce.number().min(1).max(86_400),
    fallback: 600,
    says: 'After how many seconds a client of the bus that says nothing, follows nothing and is no operator is closed.',
  },
  policyRequired: {
    variables: ['SLIPWAY_POLICY_REQUIRED'],
    yaml: 'policy.required',
    type: flag,
    fallback: 'false',
    says: 'Whether messages of topics that no active policy covers are refused.',
  },
  policyTimeoutMs: {
    variables: ['SLIPWAY_POLICY_TIMEOUT_MS'],
    yaml: 'policy.timeout_ms',
    type: z.coerce.number().int().min(1).max(10_000),
    fallback: 250,
    says: 'Longest time that a policy may take for one message, in milliseconds; then the message is refused.',
  },
  policyMemoryBytes: {
    variables: ['SLIPWAY_POLICY_MEMORY_BYTES'],
    yaml: 'policy.memory_bytes',
    type: z.coerce.number().int().min(65_536).max(268_435_456),
    fallback: 16_777_216,
    says: 'Most memory that a policy may declare, in bytes.',
  },
  policyModuleBytes: {
    variables: ['SLIPWAY_POLICY_MODULE_BYTES'],
    yaml: 'policy.module_bytes',
    type: z.coerce.number().int().min(1024).max(16_777_216),
    fallback: 1_048_576,
    says: 'Largest module of a policy, in bytes.',
  },
  policyWorkers: {
    variables: ['SLIPWAY_POLICY_WORKERS'],
    yaml: 'policy.workers',
    type: z.coerce.number().int().min(1).max(64),
    fallback: 2,
    says: 'Threads on which policies run.',
  },
  policyQueue: {
    variables: ['SLIPWAY_POLICY_QUEUE'],
    yaml: 'policy.queue',
    type: count,
    fallback: 1_000,
    says: 'Messages of one organisation that may wait for its policies; further ones are refused.',
  },
} as const satisfies Record<string, Setting>
