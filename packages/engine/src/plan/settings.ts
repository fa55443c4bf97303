import { PyDict } from '../value/value.ts'
import { asDialect, dialects, type Dialect } from './dialect.ts'
import type { PlanLayout } from './discover.ts'
import { Fields, pointer } from './fields.ts'
import { problemError, type Problem } from './problems.ts'

/** How long runs of a plan are kept once they are over; null is what the server says. */
export interface Retention {
  /** Days after the end of a run; 0 is for ever. */
  readonly days: number | null
  /** Most runs, the newest; 0 is any number. */
  readonly runs: number | null
}

/** What manifest and canvas project say about a plan; where both speak, the manifest. */
export interface PlanSettings {
  /** What the plan's id is made from. */
  readonly id: string
  readonly name: string
  readonly version: string
  readonly description: string
  readonly dialect: Dialect | null
  readonly maxCycles: number | null
  readonly retention: Retention
  readonly defaultAgent: string | null
  /** As written, relative to the plan's folder. */
  readonly agentConfig: string | null
  readonly paradigmDir: string | null
  /** Kind to folder. */
  readonly provisions: PyDict | null
  readonly requirements: readonly string[]
  readonly inputs: PyDict | null
  readonly outputs: PyDict | null
}

export function readSettings(layout: PlanLayout, problems: Problem[]): PlanSettings {
  const manifest = fieldsOf(layout.manifest, problems)
  const project = fieldsOf(layout.project, problems)
  const { id, name } = identity(layout, { manifest, project, problems })
  const first = <T>(...candidates: readonly (T | null)[]): T | null => candidates.find(one => one !== null) ?? null
  return {
    id,
    name,
    version: first(manifest.own.text('version'), project.own.text('version')) ?? '0.0.0',
    description: first(manifest.own.text('description'), project.own.text('description')) ?? '',
    dialect: dialectOf(layout, { sources: [manifest, project], problems }),
    maxCycles: positive(
      first(
        manifest.execution.integer('max_cycles'),
        manifest.own.integer('max_cycles'),
        project.execution.integer('max_cycles'),
      ),
    ),
    retention: retentionOf(layout, { manifest, problems }),
    defaultAgent: first(
      manifest.own.text('default_agent'),
      manifest.execution.text('default_llm'),
      project.execution.text('llm_model'),
    ),
    agentConfig: first(
      manifest.own.text('agent_config'),
      manifest.execution.text('agent_config'),
      project.execution.text('agent_config'),
    ),
    paradigmDir: project.execution.text('paradigm_dir'),
    provisions: manifest.own.dict('provisions'),
    requirements: manifest.own.texts('python_requirements') ?? [],
    inputs: manifest.own.dict('inputs'),
    outputs: manifest.own.dict('outputs'),
  }
}

interface Source {
  readonly own: Fields
  readonly execution: Fields
}

function fieldsOf(file: PlanLayout['project'], problems: Problem[]): Source {
  const path = file?.path ?? ''
  const own = new Fields(file?.dict ?? new PyDict(), { path, problems })
  const execution = own.dict('execution') ?? new PyDict()
  return { own, execution: new Fields(execution, { path: pointer(path, 'execution'), problems }) }
}

function identity(
  layout: PlanLayout,
  { manifest, project, problems }: { manifest: Source; project: Source; problems: Problem[] },
): { id: string; name: string } {
  const written = manifest.own.text('name')
  if (layout.manifest && !written) problems.push(unnamed(layout))
  const name = written ?? project.own.text('name') ?? layout.fallbackName
  return { name, id: written ?? project.own.text('id') ?? name }
}

/** The problem of a plan whose name leaves nothing for an id. */
export function unnamed(layout: PlanLayout): Problem {
  return problemError({
    code: 'manifest.name',
    path: pointer(layout.manifest?.path ?? layout.project?.path ?? layout.concepts, 'name'),
    message: 'The plan has no name that could serve as its id.',
    hint: 'Give it a "name" with at least one letter or digit.',
  })
}

function dialectOf(
  layout: PlanLayout,
  { sources, problems }: { sources: readonly Source[]; problems: Problem[] },
): Dialect | null {
  const written = sources
    .flatMap(({ own, execution }) => [own.text('dialect'), execution.text('dialect')])
    .find(text => text !== null)
  if (written === undefined) return null
  const dialect = asDialect(written)
  if (dialect) return dialect
  problems.push(
    problemError({
      code: 'manifest.dialect',
      path: pointer(layout.manifest?.path ?? layout.project?.path ?? '', 'dialect'),
      message: `There is no dialect "${written}".`,
      hint: `The dialects are ${dialects.join(', ')}; leave it out to have it detected.`,
    }),
  )
  return null
}

function retentionOf(layout: PlanLayout, { manifest, problems }: { manifest: Source; problems: Problem[] }): Retention {
  const path = pointer(layout.manifest?.path ?? '', 'retention')
  const written = new Fields(manifest.own.dict('retention') ?? new PyDict(), { path, problems })
  return {
    days: notNegative(written.number('days'), { path: pointer(path, 'days'), problems }),
    runs: notNegative(written.integer('runs'), { path: pointer(path, 'runs'), problems }),
  }
}

function notNegative(number: number | null, { path, problems }: { path: string; problems: Problem[] }): number | null {
  if (number === null || number >= 0) return number
  const message = `${number} is less than nothing.`
  const hint = 'Write 0 to keep all runs, a larger number, or leave it out to leave it to the server.'
  problems.push(problemError({ code: 'manifest.retention', path, message, hint }))
  return null
}

function positive(cycles: number | null): number | null {
  return cycles !== null && cycles > 0 ? cycles : null
}
