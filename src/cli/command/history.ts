import { rm } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { JsonObject } from '../../base/index.ts';
import {
  history,
  readHistory,
  type HistoryOptions,
  type HistoryResult,
  type RowVersion,
} from '../../pipeline/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { deployedTable, openKeyQuestion } from '../key-question.ts';
import { readCount } from '../number-argument.ts';
import { countOf, countText, tableText, type CommandResult, type Style } from '../output.ts';
import { storeToRead } from '../open-project-world.ts';
import { usageFinding } from '../failure.ts';
import { refusedResult } from '../walk-output.ts';
import { writeRowsFile } from '../write-rows-file.ts';

interface HistoryFlags {
  readonly key?: string;
  readonly asOf?: string;
  readonly limit?: number;
  readonly offset?: number;
  readonly out?: string;
}

/** `varve history` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    `varve history lab.grade --key '{"mouse":7}'`,
    'varve history lab.grade --as-of 2026-05-12T09:00:00Z',
    'varve history lab.mouse --as-of 2026-05-12T09:00:00Z --out mice.jsonl',
  ])
    .argument('<table>', 'schema.table, or the bare name where one schema has it')
    .option('--key <json>', 'all versions of one row: its key, as a JSON object by column')
    .option('--as-of <when>', 'what was valid at a time (ISO 8601) or at the end of a run')
    .option('--limit <rows>', 'of a whole table: so many at most; default 100', readCount)
    .option('--offset <rows>', 'of a whole table: begin after so many', readCount)
    .option('--out <path>', 'of a whole table: all its rows as JSON Lines into a new file')
    .action(act(run));
}

async function run(context: Context, table: string, flags: HistoryFlags): Promise<CommandResult> {
  const { key, asOf, limit, offset, out } = flags;
  const options: HistoryOptions = {
    ...(asOf === undefined ? {} : { asOf }),
    ...(limit === undefined ? {} : { limit }),
    ...(offset === undefined ? {} : { offset }),
  };
  if (out !== undefined) return writeTable(context, table, flags, out);
  if (key !== undefined) {
    const question = await openKeyQuestion(context, table, key);
    if (question.status === 'refused') return refusedResult(question.findings);
    return resultOf(await history(question.store, question.table, { ...options, key: question.key }));
  }
  const store = await storeToRead(context);
  const found = await deployedTable(store, table);
  if ('severity' in found) return refusedResult([found]);
  return resultOf(await history(store, found.name, options));
}

async function writeTable(
  context: Context,
  name: string,
  { key, asOf, limit, offset }: HistoryFlags,
  out: string,
): Promise<CommandResult> {
  if (key !== undefined || limit !== undefined || offset !== undefined) {
    return refusedResult([
      usageFinding('--out writes the whole table', 'Leave --key, --limit and --offset out.'),
    ]);
  }
  const store = await storeToRead(context);
  const found = await deployedTable(store, name);
  if ('severity' in found) return refusedResult([found]);
  const progress = context.progress('history');
  const written = await writeRowsFile(resolve(context.io.workingDir, out), async (file) => {
    const result = await readHistory(store, found.name, asOf, async ({ rows }) => {
      context.signal.throwIfAborted();
      // The table's own rows come first, then those of its parts; it may have had another name then.
      const [own = []] = Object.values(rows);
      for (const row of own) await file.write(row);
      progress.advance();
    });
    return { result, rows: file.rows() };
  }).finally(progress.end);
  if (written.status === 'refused') return refusedResult([written.finding]);
  const { result, rows } = written.result;
  if (result.status === 'refused') {
    await rm(resolve(context.io.workingDir, out), { force: true });
    return refusedResult(result.findings);
  }
  return {
    status: 'ok',
    fields: { table: found.name, asOf: result.asOf, rows, out },
    text: () => `${countOf(rows, 'row')} as of ${result.asOf} written to ${out}`,
  };
}

function resultOf(result: HistoryResult): CommandResult {
  if (result.status === 'refused') return refusedResult(result.findings);
  const { status, ...fields } = result;
  return { status, fields, text: (style) => historyText(style, result) };
}

function historyText(style: Style, result: Exclude<HistoryResult, { readonly status: 'refused' }>): string {
  if ('key' in result) {
    const heads = ['from', 'until', 'by', 'what became of it', 'rows'].map((head) => ({ head }));
    return tableText(
      style,
      heads,
      result.versions.map((version) => versionCells(style, version)),
    );
  }
  const { asOf, count, versions, nextOffset } = result;
  const heads = [{ head: 'key' }, { head: 'rows' }];
  const table = tableText(
    style,
    heads,
    versions.map((version) => [JSON.stringify(version.key), rowsText(version.rows)]),
  );
  const gone = result.letGo.map(
    ({ units, table: of, at, by, run: ran }) =>
      `${countOf(units, 'row')} of ${of} had stood then and were let go ${at} by ${by}, ${ran}`,
  );
  const more = nextOffset === null ? [] : [`go on with --offset ${countText(nextOffset)}`];
  return [table, `${countOf(count, 'row')} as of ${asOf}`, ...gone, ...more].join('\n');
}

function versionCells(style: Style, version: RowVersion): readonly string[] {
  const { since, sinceRun, until, untilReason, ended, brought, rows, letGo } = version;
  const people = brought === null ? 'people' : `${brought.actor}, from ${brought.source}`;
  const reason = untilReason === null ? '' : `: ${untilReason}`;
  return [
    since ?? 'the beginning',
    until ?? style('green', 'now'),
    sinceRun ?? people,
    ended === null ? style('green', 'it stands') : `${ENDED[ended]}${reason}`,
    letGo === null ? rowsText(rows) : style('yellow', `let go ${letGo.at} by ${letGo.by}`),
  ];
}

const ENDED: Readonly<Record<Exclude<RowVersion['ended'], null>, string>> = {
  recomputed: 'computed anew',
  deleted: 'deleted',
  replaced: 'another row took its place',
  contents: 'the code lists other rows',
  structure: 'another structure took its place',
};

function rowsText(rows: Readonly<Record<string, readonly JsonObject[]>>): string {
  const [own = [], ...parts] = Object.values(rows);
  const shown = own.length === 1 ? JSON.stringify(own[0]) : countOf(own.length, 'row');
  const below = parts.reduce((sum, list) => sum + list.length, 0);
  return below === 0 ? shown : `${shown} and ${countOf(below, 'part row')}`;
}
