/** Whether the topic is one of the pattern's: `*` is any one word, `>` at the end all that follow, at least one. */
export function matchesTopic(pattern: string, topic: string): boolean {
  const words = topic.split('.')
  const wanted = pattern.split('.')
  if (wanted.at(-1) === '>') return words.length >= wanted.length && fits(wanted.slice(0, -1), words)
  return words.length === wanted.length && fits(wanted, words)
}

function fits(wanted: readonly string[], words: readonly string[]): boolean {
  return wanted.every((word, at) => word === '*' || word === words[at])
}
