import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { compileToFiles } from '@slipway/engine/plan/compile'
import { hasErrors } from '@slipway/engine/plan/problems'
import type { Command } from 'commander'
import { problemLines } from '../problems.ts'
import { codeFor, type Cli } from '../session.ts'

export function addCompile(program: Command, cli: Cli): void {
  program
    .command('compile')
    .description('Compile plan text (.pf.ncd) into the repositories that a server runs.')
    .argument('<file>', 'post-formalized plan, .pf.ncd')
    .option('-o, --out <folder>', 'where to write; beside the file unless said otherwise')
    .action(
      cli.act(async ({ terminal, json, printJson }, path: string, { out }: { readonly out?: string }) => {
        const compiled = compileToFiles(await readFile(path, 'utf8'))
        const { problems } = compiled
        const ok = !hasErrors(problems)
        const folder = out ?? dirname(path)
        const written = ok ? [...compiled.files].map(([name, text]) => ({ path: join(folder, name), text })) : []
        if (ok) await mkdir(folder, { recursive: true })
        for (const file of written) await writeFile(file.path, file.text)
        if (json) printJson({ valid: ok, files: written.map(file => file.path), problems })
        else {
          problemLines(problems, terminal.paint).forEach(terminal.print)
          terminal.print(ok ? `Wrote ${written.map(file => file.path).join(', ')}` : 'Nothing was written.')
        }
        return codeFor(ok)
      }),
    )
}
