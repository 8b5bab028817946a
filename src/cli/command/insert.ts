import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { createGunzip } from 'node:zlib';
import { Option, type Command } from 'commander';
import { isVarveError, refusal, type Finding } from '../../base/index.ts';
import {
  formatOfName,
  insertNumberedRows,
  placeOf,
  readRows,
  type InsertMode,
  type InsertRowsResult,
  type RowFormat,
} from '../../pipeline/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { usageFinding } from '../failure.ts';
import { countOf, type CommandResult } from '../output.ts';
import { openProjectWorld } from '../open-project-world.ts';
import { findSpec, isFinding } from '../table-argument.ts';
import { refusedResult } from '../walk-output.ts';

interface InsertFlags {
  readonly file: string;
  readonly format?: RowFormat;
  readonly source?: string;
  readonly skipExisting?: true;
  readonly replace?: true;
  readonly dryRun?: true;
}

/** `varve insert` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve insert lab.mouse --file mice.csv --source "the scale in room 4" --dry-run',
    'varve insert lab.mouse --file corrected.jsonl --replace',
    'zcat mice.jsonl.gz | varve insert lab.mouse --file - --format jsonl',
  ])
    .argument('<table>', 'a manual table or a part of one')
    .requiredOption('--file <path>', 'JSON Lines, a JSON array, CSV or TSV, also .gz; - for standard input')
    .addOption(
      new Option('--format <name>', 'default: by the ending of the file').choices([
        'jsonl',
        'json',
        'csv',
        'tsv',
      ]),
    )
    .option('--source <text>', 'where the rows come from, kept with them; default: the file')
    .option('--skip-existing', 'leave out rows whose key stands already')
    .option('--replace', 'let rows take the place of those that stand, which go to history')
    .option('--dry-run', 'do it, count it, take it back')
    .action(act(run));
}

async function run(context: Context, name: string, flags: InsertFlags): Promise<CommandResult> {
  const format = flags.format ?? formatOfName(flags.file);
  const fault = flagFault(flags, format);
  if (fault !== undefined || format === undefined) return refusedResult(fault === undefined ? [] : [fault]);
  const opened = await openProjectWorld(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  const { store, definitions, environment } = opened.world;
  const spec = findSpec(definitions, name);
  if (isFinding(spec)) return refusedResult([spec]);
  const table = definitions.tableByName.get(spec.name);
  if (table === undefined) return refusedResult([]);
  const progress = context.progress('insert');
  let done = 0;
  try {
    const result = await insertNumberedRows(
      store,
      table,
      readRows(table, openInput(context, flags), format),
      {
        source: flags.source ?? (flags.file === '-' ? 'standard input' : flags.file),
        actor: environment.actor,
        mode: modeOf(flags),
        dryRun: flags.dryRun === true,
        place: placeOf(format),
        signal: context.signal,
        onRows: (rows) => {
          progress.advance(rows - done);
          done = rows;
        },
      },
    );
    return resultOf(result, flags);
  } catch (error) {
    const finding = readFault(error, flags.file);
    if (finding === undefined) throw error;
    return refusedResult([finding]);
  } finally {
    progress.end();
  }
}

function flagFault(flags: InsertFlags, format: RowFormat | undefined): Finding | undefined {
  if (format === undefined) {
    return usageFinding(
      '--file does not end in .jsonl, .ndjson, .json, .csv or .tsv',
      'Say which it is with --format jsonl, json, csv or tsv.',
    );
  }
  if (flags.replace === true && flags.skipExisting === true) {
    return usageFinding('--replace and --skip-existing exclude each other', 'Leave one of them out.');
  }
  return flags.source === '' ? usageFinding('--source is empty', 'Say where the rows come from.') : undefined;
}

function modeOf({ replace, skipExisting }: InsertFlags): InsertMode {
  if (replace === true) return 'replace';
  return skipExisting === true ? 'skip' : 'new';
}

async function* openInput(
  { io }: Context,
  { file }: InsertFlags,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (file === '-') {
    yield* io.stdin();
    return;
  }
  const stream = createReadStream(resolve(io.workingDir, file));
  if (!/\.gz$/iu.test(file)) {
    yield* stream as AsyncIterable<Uint8Array>;
    return;
  }
  const unpacked = createGunzip();
  stream.on('error', (error) => unpacked.destroy(error));
  yield* stream.pipe(unpacked) as AsyncIterable<Uint8Array>;
}

function readFault(error: unknown, file: string): Finding | undefined {
  if (isVarveError(error)) {
    if (error.code !== 'interrupted') return undefined;
    return refusal('interrupted', file, { hint: 'No row was inserted. Run the same command again.' });
  }
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  if (typeof code !== 'string' || !/^(E[A-Z]+|Z_[A-Z_]+)$/u.test(code)) return undefined;
  return refusal('file_unreadable', file, {
    detail: { reason: code },
    hint: 'Check the path and the file; no row was inserted.',
  });
}

function resultOf(result: InsertRowsResult, flags: InsertFlags): CommandResult {
  if (result.status === 'refused') return refusedResult(result.findings);
  const { status, ...fields } = result;
  const isPlanned = status === 'planned';
  const { rows, replaced, kept, ingestion } = fields;
  const lines = [
    `${countOf(rows, 'row')} ${isPlanned ? 'would be inserted' : 'inserted'}`,
    ...(replaced > 0
      ? [
          `${countOf(replaced, 'row')} ${isPlanned ? 'would take' : 'took'} the place of others, kept in history`,
        ]
      : []),
    ...(kept > 0
      ? [
          `${countOf(kept, 'row')} ${flags.replace === true ? 'stood the same already' : 'skipped: their keys stand already'}`,
        ]
      : []),
    ...(isPlanned ? ['Nothing was changed.'] : []),
    ...(ingestion === null ? [] : [`recorded as ${ingestion}`]),
  ];
  return { status: 'ok', fields: { ...fields, dryRun: isPlanned }, text: () => lines.join('\n') };
}
