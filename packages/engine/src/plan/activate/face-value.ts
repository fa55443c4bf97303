// stub
export function faceValue(text: string): string | string[] {
  try {
    const v = JSON.parse(text) as unknown
    return Array.isArray(v) ? v.map(x => `%(${String(x)})`) : `%(${String(v)})`
  } catch {
    return `%(${text})`
  }
}
