import { writeFile } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { packPlan } from '@slipway/engine/plan/pack'
import { AppError } from '@slipway/protocol/errors'
import type { Command } from 'commander'
import { exitCodes } from '../exit-codes.ts'
import { readPackage } from '../package-files.ts'
import type { Cli } from '../session.ts'
import { byteCount } from '../text.ts'

export function addPack(program: Command, cli: Cli): void {
  program
    .command('pack')
    .description('Pack the folder of a plan into a zip. The same files give the same bytes.')
    .argument('<folder>', 'folder of the plan')
    .option('-o, --out <file>', 'zip file to write; <folder>.zip in this folder unless said otherwise')
    .action(
      cli.act(async ({ terminal, json, printJson }, folder: string, { out }: { readonly out?: string }) => {
        const found = await readPackage(folder)
        if (found.type !== 'folder')
          throw new AppError('input.invalid', `${folder} is a file. Name the folder that holds the plan.`)
        const bytes = packPlan(found.files)
        const path = out ?? `${basename(resolve(folder))}.zip`
        await writeFile(path, bytes)
        if (json) printJson({ path, files: found.files.size, size_bytes: bytes.length })
        else terminal.print(`Packed ${found.files.size} files into ${path} (${byteCount(bytes.length)}).`)
        return exitCodes.done
      }),
    )
}
