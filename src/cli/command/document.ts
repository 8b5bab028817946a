import { Option, type Command } from 'commander';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { VarveError } from '../../base/index.ts';
import {
  compareSchemas,
  isJsonSchema,
  lockOf,
  type CompatMode,
  type CompatReport,
  type CoverageReport,
  type JsonSchema,
} from '../../document/index.ts';
import { migrateFile } from '../../document/edge/index.ts';
import type { Source } from '../../migration/kind/document/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { corpusOf, NAME_COLUMN, sourceOf, type SourceFlags } from '../document-source.ts';
import { lockPath, type TypeFlags } from '../document-type-file.ts';
import { loadDocumentType, loadDocumentTypes, loadModel, typesUrl } from '../document-types.ts';
import { readCount, readMost } from '../number-argument.ts';
import { openRunner } from '../runner.ts';
import { shownPlan } from './plan.ts';
import { countOf, countText, tableText, type CommandResult, type Style } from '../output.ts';
import { refusedResult } from '../walk-output.ts';

const MODES: readonly CompatMode[] = [
  'BACKWARD',
  'FORWARD',
  'FULL',
  'BACKWARD_TRANSITIVE',
  'FORWARD_TRANSITIVE',
  'FULL_TRANSITIVE',
  'NONE',
];

interface CompatFlags extends TypeFlags {
  readonly mode: CompatMode;
  readonly strict?: true;
}

interface MigrateFlags extends TypeFlags {
  readonly to?: string;
  readonly out: string;
  readonly resume?: true;
  readonly allowLossy?: true;
  readonly keepOrder?: true;
  readonly workers?: number;
  readonly maxQuarantined: number;
}

/** `varve document check|plan|migrate|coverage|compat|history` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    'varve document check',
    'varve document coverage traces.jsonl --to 2.0.0',
    'varve document migrate traces.jsonl --to 2.0.0 --out traces-2.jsonl',
  ]);
  withExamples(
    typed(command.command('check'))
      .description('whether the types hold together; with two schema files or versions, what differs')
      .argument('[old]', 'a JSON Schema file, or a version')
      .argument('[new]', 'another'),
    ['varve document check', 'varve document check trace-1.json trace-2.json'],
  ).action(act(check));
  withExamples(
    typed(command.command('plan'))
      .description('the steps from one version to another, and what they lose')
      .argument('[from]', 'a version')
      .argument('[to]', 'another')
      .option(
        '--column <name>',
        'instead: count all documents of schema.table.column of the store, or of FILE#table.column of SQLite, and write a migration of them',
      )
      .option('--in <path>', 'instead: the same for a file or folder, to be written to --out')
      .option('--out <path>', 'with --in: where the result is written; it must not be there yet')
      .option('--to <version>', 'of a migration: default the current version')
      .option('--allow-lossy', 'of a migration: take a way down that loses something')
      .option('--lazy', 'with --column: readers write back what they move, until a last sweep')
      .option(
        '--connections <count>',
        'with --column of the store: how many build at once, 16 at most',
        readCount,
      )
      .option('--intent <text>', 'of a migration: in plain words, what it is for'),
    [
      'varve document plan 0.0.1 2.0.0',
      'varve document plan --column app.trace.body --to 2.0.0',
      'varve document plan --column "traces.db#trace.body"',
      'varve document plan --in traces.jsonl --out traces-2.jsonl',
    ],
  ).action(act(plan));
  withExamples(
    typed(command.command('migrate'))
      .description('a file or folder of documents to another one, of the wanted version')
      .argument(
        '<in>',
        'JSON (of an array each element), JSON Lines (.jsonl, .ndjson), also .gz, or a folder of .json files',
      )
      .requiredOption('--out <path>', 'where the result is written; it must not be there yet')
      .option('--to <version>', 'default: the current version')
      .option('--resume', 'go on where a stopped run had come to')
      .option('--allow-lossy', 'take a way down that loses something')
      .option('--keep-order', 'quarantine documents whose names would change their order')
      .option('--workers <count>', 'threads that move the lines of a file', readCount)
      .option('--max-quarantined <count>', 'how many documents may be left out', readMost, 0),
    ['varve document migrate traces.jsonl.gz --out new.jsonl.gz --resume'],
  ).action(act(migrate));
  withExamples(
    typed(command.command('coverage'))
      .description('what a migration would do to every document; writes nothing')
      .argument(
        '[in]',
        'JSON (of an array each element), JSON Lines (.jsonl, .ndjson), also .gz, or a folder of .json files',
      )
      .option(
        '--column <name>',
        'instead: the documents in schema.table.column of the store, or in FILE#table.column of SQLite',
      )
      .option('--to <version>', 'default: the current version'),
    [
      'varve document coverage traces/ --to 2.0.0 --json',
      'varve document coverage --column app.trace.body --db postgres://localhost/app',
    ],
  ).action(act(coverage));
  withExamples(
    typed(command.command('compat'))
      .description('whether readers of one version can read what writers of the other write')
      .argument('<old>', 'a version')
      .argument('<new>', 'another')
      .addOption(new Option('--mode <mode>', 'who must read whom').choices(MODES).default('FULL'))
      .option('--strict', 'writers may write fields that their schema does not name'),
    ['varve document compat 1.0.0 2.0.0 --mode BACKWARD_TRANSITIVE'],
  ).action(act(compat));
  withExamples(
    typed(command.command('lock')).description(
      'writes down what has shipped: steps and snapshots that change later are refused',
    ),
    ['varve document lock'],
  ).action(act(lock));
  withExamples(typed(command.command('history')).description('the versions of a type, and what each added'), [
    'varve document history --type trace',
  ]).action(act(history));
}

function typed(command: Command): Command {
  return command
    .option('--types <file>', 'the module that exports the document types', 'documents.ts')
    .option('--type <name>', 'which of them, where there are several');
}

async function check(
  context: Context,
  older: string | undefined,
  newer: string | undefined,
  flags: TypeFlags,
): Promise<CommandResult> {
  if (older === undefined) return checkTypes(context, flags);
  if (newer === undefined) {
    throw new VarveError('usage', { hint: 'Give two schema files, or two versions, or neither.' });
  }
  const [old, now] = [older, newer].map((file) => resolve(context.io.workingDir, file));
  const areFiles = old !== undefined && now !== undefined && existsSync(old) && existsSync(now);
  if (areFiles) return checkFiles(old, now);
  return compat(context, older, newer, { ...flags, mode: 'FULL' });
}

async function checkTypes(context: Context, flags: TypeFlags): Promise<CommandResult> {
  const types = await loadDocumentTypes(context, flags);
  if ('findings' in types) return refusedResult(types.findings);
  const findings = types.flatMap((type) => type.findings());
  const names = types.map(({ name }) => name);
  if (findings.length > 0) return { status: 'refused', findings, fields: { types: names } };
  return {
    status: 'ok',
    fields: { types: names },
    text: () => `${countOf(names.length, 'document type')} checked`,
  };
}

/** What is new comes behind what is locked; what changed is refused before, as everywhere. */
async function lock(context: Context, flags: TypeFlags): Promise<CommandResult> {
  const types = await loadDocumentTypes(context, flags);
  if ('findings' in types) return refusedResult(types.findings);
  const folder = dirname(resolve(context.io.workingDir, context.options.project ?? '.', flags.types));
  const files: string[] = [];
  for (const type of types) {
    const model = type.model();
    if (model.status === 'refused') return refusedResult(model.findings);
    const path = lockPath(folder, type.name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, `${JSON.stringify(lockOf(model.value), undefined, 2)}\n`);
    files.push(`documents/${type.name}/lock.json`);
  }
  return { status: 'ok', fields: { files }, text: () => files.map((file) => `wrote  ${file}`).join('\n') };
}

/** Two schemas without a type: what would have to be done between them. */
async function checkFiles(old: string, now: string): Promise<CommandResult> {
  const [older, newer] = await Promise.all([readSchema(old), readSchema(now)]);
  const report = compareSchemas(older, newer, 'FULL');
  return report.status === 'refused' ? refusedResult(report.findings) : compared(report.value);
}

async function readSchema(path: string): Promise<JsonSchema> {
  const text = await readFile(path, 'utf8');
  const schema = parseJson(text);
  if (!isJsonSchema(schema)) {
    throw new VarveError('file_unreadable', {
      detail: { file: path, reason: 'it holds no JSON Schema' },
      hint: 'Name a file that holds a JSON Schema as one object.',
    });
  }
  return schema;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface PlanFlags extends TypeFlags, SourceFlags {
  readonly to?: string;
  readonly allowLossy?: true;
  readonly connections?: number;
  readonly intent?: string;
}

async function plan(
  context: Context,
  from: string | undefined,
  to: string | undefined,
  flags: PlanFlags,
): Promise<CommandResult> {
  const source = sourceOf(context, flags);
  if (source !== undefined) return planSource(context, source, flags);
  if (from === undefined || to === undefined) {
    throw new VarveError('usage', { hint: `Give two versions, or ${NAME_COLUMN}, or --in and --out.` });
  }
  const type = await loadDocumentType(context, flags);
  if (!('model' in type)) return refusedResult(type.findings);
  const planned = type.plan(from, to, { allowLossy: true });
  if (planned.status === 'refused') return refusedResult(planned.findings);
  const { path, loss, digest } = planned.value;
  return {
    status: 'ok',
    fields: { type: type.name, from, to, path, loss, planDigest: digest },
    text: () => [`${[from, ...path.map((step) => step.to)].join(' -> ')}  ${loss}`, digest].join('\n'),
  };
}

/** Counts all documents, and writes a bundle that allows as much as was counted. */
async function planSource(context: Context, source: Source, flags: PlanFlags): Promise<CommandResult> {
  const { draftDocuments, MOST_CONNECTIONS } = await import('../../migration/kind/document/index.ts');
  const { connections = 1 } = flags;
  if (connections > MOST_CONNECTIONS || (connections > 1 && source.kind !== 'column')) {
    throw new VarveError('usage', {
      hint: `Give --connections from 1 to ${String(MOST_CONNECTIONS)}, and --column schema.table.column.`,
    });
  }
  const type = await loadDocumentType(context, flags);
  if (!('model' in type)) return refusedResult(type.findings);
  const opened = await openRunner(context, 'write');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const { documentEngine } = await import('../document-engine.ts');
  const drafted = await draftDocuments(
    runner.options,
    documentEngine(runner.world.project.dir),
    {
      types: flags.types,
      type: type.name,
      to: flags.to ?? type.current,
      source,
    },
    {
      allowLossy: flags.allowLossy === true,
      isLazy: flags.lazy === true,
      ...(flags.connections === undefined ? {} : { connections: flags.connections }),
      ...(flags.intent === undefined ? {} : { intent: flags.intent }),
    },
  );
  if (drafted.status === 'refused') return refusedResult(drafted.findings);
  return await shownPlan(runner, drafted.outcome);
}

async function migrate(context: Context, input: string, flags: MigrateFlags): Promise<CommandResult> {
  const model = await loadModel(context, flags);
  if ('findings' in model) return refusedResult(model.findings);
  const [from, out] = [input, flags.out].map((path) => resolve(context.io.workingDir, path));
  const progress = context.progress('documents');
  let done = 0;
  const result = await migrateFile(model, from ?? '', out ?? '', {
    ...(flags.to === undefined ? {} : { to: flags.to }),
    resume: flags.resume === true,
    allowLossy: flags.allowLossy === true,
    keepOrder: flags.keepOrder === true,
    maxQuarantined: flags.maxQuarantined,
    ...(flags.workers === undefined
      ? {}
      : { workers: { count: flags.workers, module: typesUrl(context, flags) } }),
    signal: context.signal,
    onBatch: ({ documents }) => {
      progress.advance(documents - done);
      done = documents;
    },
  });
  progress.end();
  const fields = { out: flags.out, ...(result.counts === undefined ? {} : { counts: result.counts }) };
  if (result.status === 'refused') return { status: 'refused', findings: result.findings, fields };
  const { documents, migrated, current, quarantined } = result.counts;
  return {
    status: 'ok',
    fields,
    text: () =>
      `${countOf(documents, 'document')}: ${countText(migrated)} migrated, ${countText(current)} current, ${countText(quarantined)} quarantined`,
  };
}

async function coverage(
  context: Context,
  input: string | undefined,
  flags: TypeFlags & { readonly to?: string; readonly column?: string },
): Promise<CommandResult> {
  const type = await loadDocumentType(context, flags);
  if (!('model' in type)) return refusedResult(type.findings);
  const model = type.model();
  if (model.status === 'refused') return refusedResult(model.findings);
  const corpus = await corpusOf(context, input, flags.column, model.value.limits.sizeBytes);
  if ('findings' in corpus) return refusedResult(corpus.findings);
  const result = await type.coverage(corpus.documents, flags.to);
  if (!('report' in result)) return refusedResult(result.findings);
  const { status, findings, report } = result;
  return { status, findings, fields: { ...report }, text: (style) => reportText(style, report) };
}

function reportText(style: Style, report: CoverageReport): string {
  const counts = (name: string, values: Readonly<Record<string, number>>) =>
    Object.entries(values).map(([key, count]) => [name, key, countText(count)]);
  const rows = [
    ['documents', '', countText(report.documents)],
    ...counts('version', report.byVersion),
    ...counts('path', report.byPath),
    ...report.failures.map(({ pointer, keyword, count, samples }) => [
      'failure',
      `${pointer} ${keyword} (${samples.join(', ')})`,
      countText(count),
    ]),
    ...counts('quarantined', report.quarantined),
    ...counts('dropped', report.droppedFields),
    ...counts('unknown field', report.unknownFields),
    ...counts('impure', report.impure),
    ...report.neverHit.map((step) => ['never hit', step, '']),
    ...counts('round trip', report.roundTrip),
    ['lossy', '', countText(report.lossy)],
    ['assumed', '', countText(report.assumed)],
    ...counts('undeclared', report.undeclared),
    ['exact numbers', '', countText(report.exactNumbers)],
    ['reordered', '', countText(report.reordered)],
  ];
  return tableText(style, [{ head: 'what' }, { head: 'where' }, { head: 'count', align: 'right' }], rows);
}

async function compat(
  context: Context,
  older: string,
  newer: string,
  flags: CompatFlags,
): Promise<CommandResult> {
  const type = await loadDocumentType(context, flags);
  if (!('model' in type)) return refusedResult(type.findings);
  const report = type.compat(older, newer, flags.mode, { strict: flags.strict === true });
  return report.status === 'refused' ? refusedResult(report.findings) : compared(report.value);
}

/** Unknown counts as not passed; the differences alone are no refusal. */
function compared(report: CompatReport): CommandResult {
  return {
    status: report.verdict === 'yes' ? 'ok' : 'refused',
    fields: { ...report },
    text: (style) => comparedText(style, report),
  };
}

function comparedText(style: Style, { directions, differences, assumption }: CompatReport): string {
  const verdicts = directions.map(({ direction, writer, reader, verdict, witness, because }) => [
    direction,
    `${reader} reads ${writer}`,
    verdict,
    witness === undefined ? (because ?? '') : `${witness.reason} at ${witness.pointer || 'the top'}`,
  ]);
  const rows = differences.map(({ row, change, pointer, to, approach, suggested }) => [
    row,
    change,
    to === undefined ? pointer : `${pointer} -> ${to}`,
    suggested.length === 0 ? approach : JSON.stringify(suggested),
  ]);
  return [
    tableText(style, [{ head: 'mode' }, { head: 'who' }, { head: 'verdict' }, { head: 'why' }], verdicts),
    '',
    tableText(style, [{ head: 'row' }, { head: 'change' }, { head: 'where' }, { head: 'advice' }], rows),
    '',
    `assumed: ${assumption}`,
  ].join('\n');
}

async function history(context: Context, flags: TypeFlags): Promise<CommandResult> {
  const type = await loadDocumentType(context, flags);
  if (!('model' in type)) return refusedResult(type.findings);
  const versions = type.history();
  return {
    status: 'ok',
    fields: { type: type.name, versions },
    text: (style) =>
      tableText(
        style,
        [{ head: 'version' }, { head: 'schema' }, { head: 'adds' }],
        versions.map(({ version, adds, hasSnapshot }) => [version, hasSnapshot ? 'yes' : '', adds ?? '']),
      ),
  };
}
