import type { Command } from 'commander'
import { examine } from '../doctor.ts'
import { codeFor, type Cli } from '../session.ts'
import { oneLine } from '../text.ts'

const marks = { ok: ['green', '✔'], note: ['yellow', '!'], problem: ['red', '✘'] } as const

export function addDoctor(program: Command, cli: Cli): void {
  program
    .command('doctor')
    .description('Look whether this machine has what a server needs, and whether one answers.')
    .option('-d, --data <folder>', 'data folder that would be used')
    .action(
      cli.act(async (session, { data }: { readonly data?: string }) => {
        const findings = await examine(session, data)
        const ok = findings.every(finding => finding.state !== 'problem')
        if (session.json) session.printJson({ ok, findings })
        else
          for (const { state, name, says } of findings) {
            const [style, mark] = marks[state]
            session.terminal.print(`${session.terminal.paint(style, mark)} ${name}: ${oneLine(says)}`)
          }
        return codeFor(ok)
      }),
    )
}
