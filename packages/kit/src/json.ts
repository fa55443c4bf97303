/** Reads JSON as `unknown`, so that what comes from outside is looked at before it is used. Throws `SyntaxError`. */
export function parseJson(text: string): unknown {
  return JSON.parse(text) as unknown
}
