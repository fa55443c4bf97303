import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { AppError } from '@slipway/protocol/errors'
import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import { operatorFiles } from '../operator-template.ts'
import type { Cli } from '../session.ts'

export function addOperator(program: Command, cli: Cli): void {
  const operator = program.command('operator').description('Make operators: programs that do jobs of the server.')
  operator
    .command('new')
    .description('Write a folder with an operator that runs.')
    .argument('<name>', 'name of the operator and of the new folder, such as thumbnails')
    .option('--in <folder>', 'where the new folder goes', '.')
    .action(
      cli.act(async ({ terminal, json, printJson }, name: string, { in: parent }: { readonly in: string }) => {
        const folder = resolve(parent, name)
        const own = checkedName(basename(folder))
        const files = operatorFiles(own)
        await emptyFolder(folder)
        for (const [file, text] of files) await writeFile(join(folder, file), text)
        if (json) printJson({ folder, files: [...files.keys()] })
        else {
          terminal.print(`${folder} has an operator for the topic ${own}.jobs. Start it with:`)
          terminal.print(`  cd ${folder} && npm install && npm start`)
        }
        return exitCodes.done
      }),
    )
}

function checkedName(name: string): string {
  if (/^[a-z][a-z0-9-]{0,40}$/.test(name)) return name
  throw new AppError('input.invalid', `"${name}" is no name of an operator. Use lower-case letters, digits and -.`)
}

async function emptyFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  if ((await readdir(folder)).length > 0)
    throw new AppError('input.invalid', `${folder} is not empty. Choose another name, or remove what is there.`)
}
