import type { Command } from 'commander';
import { resolve } from 'node:path';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import type { CommandResult } from '../output.ts';
import { STARTER_FILES, STARTER_QUESTION } from '../starter-project.ts';
import { refusedResult } from '../walk-output.ts';
import { writeProject } from '../write-project.ts';

/** `varve init` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve init', 'varve init lake && cd lake && npm install'])
    .argument('[dir]', 'the folder; default: this one')
    .action(act(run));
}

async function run({ io, options }: Context, given: string | undefined): Promise<CommandResult> {
  const dir = resolve(io.workingDir, options.project ?? '.', given ?? '.');
  const written = await writeProject(dir, STARTER_FILES, io.workingDir);
  if (written.status === 'refused') return refusedResult(written.findings);
  const { files } = written;
  const next = [
    ...written.next,
    'npx varve plan',
    'npx varve apply',
    'npx varve populate',
    `npx varve ${STARTER_QUESTION}`,
  ];
  return {
    status: 'ok',
    fields: { dir, files, next },
    text: () =>
      [...files.map((name) => `wrote  ${name}`), '', 'Next:', ...next.map((line) => `  ${line}`)].join('\n'),
  };
}
