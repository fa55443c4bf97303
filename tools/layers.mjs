/** What may import what. Everything here is checked by dependency-cruiser; nothing else says so a second time. */

/** Package -> packages it may import. */
export const packages = {
  kit: [],
  protocol: ['kit'],
  engine: ['kit', 'protocol'],
  runner: ['kit', 'protocol', 'engine'],
  server: ['kit', 'protocol', 'engine', 'runner'],
  sdk: ['kit', 'protocol'],
  cli: ['kit', 'protocol', 'sdk', 'engine'],
}

/** Packages that run anywhere: no Node API, no dependency on the machine. */
export const purePackages = ['kit', 'protocol', 'engine', 'sdk']

/** Inside the server: folder -> folders it may import. */
export const serverFolders = {
  app: ['features', 'http', 'db', 'observe'],
  features: ['http', 'db', 'observe', 'threads'],
  http: ['observe'],
  db: ['observe'],
  observe: [],
  threads: [],
}

/** Feature -> features whose front file it may import. */
export const features = {
  access: [],
  circuits: ['access', 'mappings', 'operators', 'spine'],
  events: [],
  jobs: ['events', 'runs', 'shield', 'spine'],
  mappings: [],
  models: [],
  operators: ['mappings', 'spine'],
  plans: ['events', 'sandboxes'],
  runs: ['events', 'models', 'plans', 'sandboxes'],
  sandboxes: [],
  shield: ['access', 'operators', 'spine'],
  spine: [],
}

/** The only part of the engine that the command line may use. */
export const engineForCli = ['plan', 'value', 'paradigm/built-in']
