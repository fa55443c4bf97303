import { isList, PyDict, type Value } from '../../value/value.ts'
import { problemError, problemWarning } from '../problems.ts'
import { resolveProvision } from '../provisions.ts'
import type { CheckContext } from './context.ts'

const sign = /^%(?:\{([A-Za-z0-9_]+)\})?[A-Za-z0-9]*\(([^]*)\)$/
const almostSign = /^%\{[^}]*\}[^(\s]*\([^]*\)$/
/** Norms whose payload is a file that must be there when the step runs. */
const readNorms = new Set(['file_location', 'prompt_location', 'script_location'])

/** Files that the plan's signs name, and Python packages that it asks for. */
export function checkProvisions(context: CheckContext): void {
  const reported = new Set<string>()
  for (const concept of context.concepts.values()) {
    if (!concept.isGround) continue
    for (const text of textsIn(concept.referenceData)) checkSign(context, { text, path: concept.path, reported })
  }
  checkRequirements(context)
}

function checkSign(
  { plan, problems }: CheckContext,
  { text, path, reported }: { text: string; path: string; reported: Set<string> },
): void {
  const found = sign.exec(text)
  const at = `${path}/reference_data`
  if (!found) {
    if (!almostSign.test(text) || text.startsWith('%{truth value}(')) return
    problems.push(
      problemWarning({
        code: 'sign.unreadable',
        path: at,
        message: `${shortened(text)} looks like a sign but is none, and is passed on as plain text.`,
        hint: 'Between } and ( only letters and digits may stand; a norm has letters, digits and _.',
      }),
    )
    return
  }
  const [, norm = '', payload = ''] = found
  if (!readNorms.has(norm) || reported.has(payload) || resolveProvision(plan, payload) !== null) return
  reported.add(payload)
  problems.push(
    problemWarning({
      code: 'provision.missing',
      path: at,
      message: `The package has no file ${shortened(payload)}, which a ${norm} sign names.`,
      hint: 'Add the file, unless the run itself writes it before it is read.',
    }),
  )
}

function checkRequirements({ plan, pythonPackages, problems }: CheckContext): void {
  if (!pythonPackages) return
  for (const requirement of plan.pythonRequirements) {
    const name = packageName(requirement)
    if (pythonPackages.has(name)) continue
    problems.push(
      problemError({
        code: 'python.requirement',
        path: 'python_requirements.txt',
        message: `The plan asks for the Python package "${requirement}", which is not available here.`,
        hint: `Available are ${[...pythonPackages].sort().join(', ') || 'no packages beyond the standard library'}.`,
      }),
    )
  }
}

/** The normalised name of a requirement: `Python_PPTX>=1` → `python-pptx`. */
export function packageName(requirement: string): string {
  const name = /^[A-Za-z0-9._-]+/.exec(requirement)?.[0] ?? requirement
  return name.toLowerCase().replace(/[-_.]+/g, '-')
}

function* textsIn(value: Value): Generator<string> {
  if (typeof value === 'string') yield value
  else if (isList(value)) for (const item of value) yield* textsIn(item)
  else if (value instanceof PyDict) for (const item of value.values()) yield* textsIn(item)
}

const longestShown = 120

function shortened(text: string): string {
  return text.length > longestShown ? `${text.slice(0, longestShown)}…` : text
}
