import { styleText } from 'node:util'

type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan'
export type Paint = (style: Style, text: string) => string

/** Where output goes and what it can show. */
export interface Terminal {
  /** Whether standard output is a terminal that can be redrawn. */
  readonly live: boolean
  /** Whether somebody can be asked: standard input and output are terminals. */
  readonly interactive: boolean
  readonly paint: Paint
  readonly columns: () => number
  readonly rows: () => number
  /** A line of data on standard output. */
  readonly print: (text: string) => void
  /** A line about what happens, on standard error; nothing with `--quiet`. */
  readonly note: (text: string) => void
  /** A line on standard error that `--quiet` does not hide. */
  readonly complain: (text: string) => void
  /** Raw text on standard output, for redrawing. */
  readonly write: (text: string) => void
}

export interface TerminalOptions {
  readonly color: boolean
  readonly quiet: boolean
}

export function createTerminal({ color, quiet }: TerminalOptions): Terminal {
  const { stdin, stdout, stderr } = process
  const colored = color && stdout.isTTY
  return {
    live: stdout.isTTY,
    interactive: stdin.isTTY && stdout.isTTY,
    paint: colored ? (style, text) => styleText(style, text, { validateStream: false }) : (_style, text) => text,
    columns: () => (stdout.isTTY ? Math.max(stdout.columns, 20) : 100),
    rows: () => (stdout.isTTY ? Math.max(stdout.rows, 5) : 24),
    print: text => void stdout.write(`${text}\n`),
    note: text => void (quiet || stderr.write(`${text}\n`)),
    complain: text => void stderr.write(`${text}\n`),
    write: text => void stdout.write(text),
  }
}
