// Postgres keeps no NUL in text, SQLite does, and texts from people and models have any character. A noncharacter, which
// Unicode keeps free for a program's own use, stands in front of a digit for NUL, and of another for itself.
const mark = '\ufdd0'
const encoded: Readonly<Record<string, string>> = { '\0': `${mark}0`, [mark]: `${mark}1` }
const decoded: Readonly<Record<string, string>> = { [`${mark}0`]: '\0', [`${mark}1`]: mark }

/** Text as Postgres can keep it; `decodeText` gives it back as it was. Equal texts stay equal, others stay different. */
export function encodeText(text: string): string {
  return text.includes('\0') || text.includes(mark)
    ? text.replaceAll(/[\0\ufdd0]/g, character => encoded[character] ?? character)
    : text
}

export function decodeText(text: string): string {
  return text.includes(mark) ? text.replaceAll(/\ufdd0[01]/g, pair => decoded[pair] ?? pair) : text
}
