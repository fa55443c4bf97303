/** Something wrong, or doubtful, about a plan. All problems of a plan are reported at once. */
export interface Problem {
  readonly severity: 'error' | 'warning'
  /** A stable name of the rule that is broken, such as `concept.unknown`. */
  readonly code: string
  /** Where: a file, `file#/json/pointer`, or the flow index of a step. */
  readonly path: string
  readonly message: string
  /** What to do about it. */
  readonly hint: string
}

export type ProblemDetails = Omit<Problem, 'severity'>

export function problemError(details: ProblemDetails): Problem {
  return { ...details, severity: 'error' }
}

export function problemWarning(details: ProblemDetails): Problem {
  return { ...details, severity: 'warning' }
}

export function hasErrors(problems: readonly Problem[]): boolean {
  return problems.some(problem => problem.severity === 'error')
}

/** The known names nearest to `name`, for hints: at most three, nearest first. */
export function suggestions(name: string, known: Iterable<string>): string[] {
  const wanted = loosely(name)
  const limit = Math.max(2, Math.floor(wanted.length / 3))
  return [...new Set(known)]
    .map(candidate => ({ candidate, distance: editDistance(wanted, loosely(candidate), limit) }))
    .filter(({ distance }) => distance <= limit)
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}

/** A hint that names the nearest known names, or `otherwise` when there is none. */
export function didYouMean(name: string, { known, otherwise }: { known: Iterable<string>; otherwise: string }): string {
  const near = suggestions(name, known)
  return near.length > 0 ? `Did you mean ${near.join(' or ')}?` : otherwise
}

const longestCompared = 60

function loosely(text: string): string {
  return text
    .toLowerCase()
    .replace(/[{}[\]<>_\s-]/g, '')
    .slice(0, longestCompared)
}

// Infinity as soon as it is known to be above `limit`.
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return Infinity
  let previous = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    if (Math.min(...current) > limit) return Infinity
    previous = current
  }
  return previous[b.length] ?? 0
}
