/** What a schema from outside may ask of the server. */
const bounds = { characters: 65_536, places: 10_000, depth: 64, uniqueItems: 1_000 } as const

const nested = ['not', 'if', 'then', 'else', 'items', 'additionalItems', 'contains', 'propertyNames'] as const
const others = ['additionalProperties', 'unevaluatedItems', 'unevaluatedProperties'] as const
const lists = ['allOf', 'anyOf', 'oneOf', 'prefixItems'] as const
const maps = ['properties', 'patternProperties', 'dependentSchemas'] as const
const refused = ['$dynamicRef', '$dynamicAnchor', '$recursiveRef', '$recursiveAnchor', '$anchor'] as const

/**
 * Why a JSON Schema would cost too much to check payloads against, or null. References are followed, so that a schema that
 * refers to itself, or doubles with each reference, is refused: then a check takes time in proportion to the payload.
 */
export function schemaProblem(schema: unknown): string | null {
  if (typeof schema === 'boolean') return null
  if (!isObject(schema)) return 'A schema is a JSON object.'
  if (JSON.stringify(schema).length > bounds.characters) return `A schema has at most ${bounds.characters} characters.`
  return new Walk(schema).problem()
}

type Schema = Readonly<Record<string, unknown>>

class Walk {
  readonly #root: Schema
  #places = 0

  constructor(root: Schema) {
    this.#root = root
  }

  problem(): string | null {
    return this.#look(this.#root, 0)
  }

  #look(schema: unknown, depth: number): string | null {
    if (!isObject(schema)) return null
    if (++this.#places > bounds.places || depth > bounds.depth)
      return 'It refers to itself, is too deep, or grows too much with its references.'
    const own = problemOf(schema)
    if (own !== null) return own
    const inside = this.#inside(schema)
    if (typeof inside === 'string') return inside
    for (const one of inside) {
      const problem = this.#look(one, depth + 1)
      if (problem !== null) return problem
    }
    return null
  }

  /** The schemas that apply where this one does, or inside what it applies to; or what is wrong with a reference. */
  #inside(schema: Schema): unknown[] | string {
    const inside: unknown[] = []
    for (const name of [...nested, ...others]) inside.push(...[schema[name]].flat())
    for (const name of lists) if (Array.isArray(schema[name])) inside.push(...(schema[name] as unknown[]))
    for (const name of maps) if (isObject(schema[name])) inside.push(...Object.values(schema[name]))
    const reference = schema['$ref']
    if (reference === undefined) return inside
    const target = typeof reference === 'string' ? this.#target(reference) : undefined
    return target === undefined
      ? `The reference ${JSON.stringify(reference)} leads nowhere in the schema.`
      : [...inside, target]
  }

  #target(reference: string): unknown {
    if (!reference.startsWith('#')) return undefined
    const names = reference.slice(1).split('/').slice(1)
    return names.reduce<unknown>((at, name) => {
      const key = decode(name)
      return isObject(at) && Object.hasOwn(at, key)
        ? at[key]
        : Array.isArray(at)
          ? (at as unknown[])[Number(key)]
          : undefined
    }, this.#root)
  }
}

function problemOf(schema: Schema): string | null {
  const name = refused.find(word => word in schema)
  if (name !== undefined) return `${name} is not supported; refer with $ref and #/$defs.`
  if (schema['$id'] !== undefined) return '$id is not supported: a schema is known by the id it is registered under.'
  const { uniqueItems, maxItems } = schema as { readonly uniqueItems?: unknown; readonly maxItems?: unknown }
  if (uniqueItems === true && !(typeof maxItems === 'number' && maxItems <= bounds.uniqueItems))
    return `uniqueItems needs maxItems of at most ${bounds.uniqueItems} beside it.`
  return null
}

function decode(name: string): string {
  const plain = name.replaceAll('~1', '/').replaceAll('~0', '~')
  try {
    return decodeURIComponent(plain)
  } catch {
    return plain
  }
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
