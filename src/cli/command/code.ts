import type { Command } from 'commander';
import { codeAsOf, type TableCode } from '../../pipeline/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { storeToRead } from '../open-project-world.ts';
import { countText, tableText, type CommandResult, type Style } from '../output.ts';
import { refusedResult } from '../walk-output.ts';

interface CodeFlags {
  readonly asOf?: string;
  readonly source?: true;
}

/** `varve code` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve code',
    'varve code lab.grade --source',
    'varve code --as-of 2026-05-12T09:00:00Z --json',
  ])
    .argument('[table]', 'schema.table, by its name then; default: every table that a make fills')
    .option('--as-of <when>', 'as of a time (ISO 8601) or the end of a run; default: now')
    .option('--source', 'also the text of the code')
    .action(act(run, { db: true }));
}

async function run(context: Context, table: string | undefined, flags: CodeFlags): Promise<CommandResult> {
  const result = await codeAsOf(await storeToRead(context), {
    ...(table === undefined ? {} : { table }),
    ...(flags.asOf === undefined ? {} : { asOf: flags.asOf }),
    ...(flags.source === undefined ? {} : { source: true }),
  });
  if (result.status === 'refused') return refusedResult(result.findings);
  const { asOf, code } = result;
  return {
    status: 'ok',
    fields: { asOf: flags.asOf === undefined ? null : asOf, code },
    text: (style) => codeText(style, code),
  };
}

function codeText(style: Style, code: readonly TableCode[]): string {
  if (code.length === 0) return 'Nothing was computed yet.';
  const table = tableText(
    style,
    [
      { head: 'table' },
      { head: 'code' },
      { head: 'covers' },
      { head: 'rows', align: 'right' },
      { head: 'last run' },
    ],
    code.map((each) => [each.table, each.digest, each.basis, countText(each.rows), each.run]),
  );
  const texts = code.flatMap((each) =>
    each.source === undefined
      ? []
      : ['', style('cyan', each.table), ...each.source.split('\n').map((line) => `| ${line}`)],
  );
  return [table, ...texts].join('\n');
}
