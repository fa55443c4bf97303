import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const learnFolder = join(import.meta.dirname, '..', 'docs', 'learn')

/** A fenced block of the tutorials that says which file it shows: `ncd triage` or `python triage/log_case.py`. */
export interface Excerpt {
  readonly page: string
  readonly file: string
  readonly text: string
}

export async function excerpts(): Promise<Excerpt[]> {
  const pages = (await readdir(learnFolder)).filter(name => name.endsWith('.md')).sort()
  const found = await Promise.all(
    pages.map(async page => {
      const text = await readFile(join(learnFolder, page), 'utf8')
      const blocks = text.matchAll(/^```\w+ (\S+)\n([^]*?)^```$/gm)
      return [...blocks].map(([, file = '', block = '']) => ({ page, file, text: block }))
    }),
  )
  return found.flat()
}

/** The package that a page writes file by file, by path below its folder. */
export function writtenPackage(all: readonly Excerpt[], folder: string): Map<string, Uint8Array> {
  const own = all.filter(({ file }) => file.startsWith(`${folder}/`))
  return new Map(own.map(({ file, text }) => [file.slice(folder.length + 1), new TextEncoder().encode(text)]))
}
