import type { Command } from 'commander';
import type { JsonObject } from '../../base/index.ts';
import {
  why,
  type ComputationOrigin,
  type IngestionOrigin,
  type InputOrigin,
  type RecordedOrigin,
  type RowOrigin,
} from '../../pipeline/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { openKeyQuestion, type KeyFlags } from '../key-question.ts';
import { readCount } from '../number-argument.ts';
import { countOf, tableText, type CommandResult, type Style } from '../output.ts';
import { refusedResult } from '../walk-output.ts';

interface WhyFlags extends KeyFlags {
  readonly deep?: true;
  readonly depth?: number;
  readonly source?: true;
  readonly asOf?: string;
}

/** `varve why` */
export function register(command: Command, act: Act): void {
  withExamples(command, [
    `varve why lab.grade --key '{"mouse":7}'`,
    `varve why lab.grade --key '{"mouse":7}' --deep --json`,
    `varve why lab.grade --key '{"mouse":7}' --depth 1 --source --as-of 2026-05-12T09:00:00Z`,
  ])
    .argument('<table>', 'schema.table, or the bare name where one schema has it')
    .requiredOption('--key <json>', 'the key of the row, as a JSON object by column')
    .option('--deep', 'also the rows that it was computed from, and theirs, to the end')
    .option('--depth <steps>', 'the same, so many steps up', readCount)
    .option('--source', 'also the text of the code')
    .option('--as-of <when>', 'the version valid at a time (ISO 8601) or at the end of a run')
    .action(act(run));
}

async function run(context: Context, table: string, flags: WhyFlags): Promise<CommandResult> {
  const question = await openKeyQuestion(context, table, flags.key);
  if (question.status === 'refused') return refusedResult(question.findings);
  const result = await why(question.store, question.table, question.key, {
    ...(flags.deep === undefined ? {} : { deep: true }),
    ...(flags.depth === undefined ? {} : { depth: flags.depth }),
    ...(flags.source === undefined ? {} : { source: true }),
    ...(flags.asOf === undefined ? {} : { asOf: flags.asOf }),
  });
  if (result.status === 'refused') return refusedResult(result.findings);
  const { origin, above, beyond } = result;
  const walked = flags.deep !== undefined || flags.depth !== undefined;
  return {
    status: 'ok',
    fields: { origin, ...(walked ? { above, beyond } : {}) },
    text: (style) =>
      [
        ...[origin, ...above].map((each) => originText(style, each)),
        ...(beyond === 0 ? [] : [`${countOf(beyond, 'row')} further up; see them with --deep`]),
      ].join('\n\n'),
  };
}

function originText(style: Style, origin: RowOrigin): string {
  const { table, tier, key, until, computation, ingestions, letGo, adopted } = origin;
  const ended = until === null ? '' : style('yellow', `  until ${until}`);
  const head = `${style('cyan', table)} ${JSON.stringify(key)}  ${tier}${ended}`;
  const gone =
    letGo === null ? [] : [style('yellow', `  let go    ${letGo.at} by ${letGo.by}, ${letGo.run}`)];
  const brought = [...gone, ...ingestions.map((each) => broughtLine(style, table, each))];
  if (computation !== null) return [head, ...computationLines(style, computation), ...brought].join('\n');
  const nobody =
    tier === 'lookup' ? '  listed    in the code' : '  brought   by people; no batch is recorded';
  if (adopted !== null && tier !== 'lookup') return [head, ...adoptedLines(adopted)].join('\n');
  return [head, ...(brought.length === 0 ? [nobody] : brought)].join('\n');
}

/** Nothing tells a row that was there from one that another program wrote later. */
function adoptedLines({ run: ran, at }: NonNullable<RowOrigin['adopted']>): readonly string[] {
  return [`  adopted   with its table, ${at}, or written since by another program`, `  run       ${ran}`];
}

function broughtLine(style: Style, table: string, origin: IngestionOrigin): string {
  const { at, actor, source, name, rows, isUnchanged } = origin;
  const what = origin.table === table ? '' : `${countOf(rows, 'row')} of ${origin.table} `;
  const since = isUnchanged === false ? style('yellow', ', changed by hand since') : '';
  return `  brought   ${what}from ${source} by ${actor}, ${at}, as ${name}${since}`;
}

function computationLines(
  style: Style,
  { run: ran, code, origin, enforcement, attribution, outputDigest, inputs, recorded }: ComputationOrigin,
): readonly string[] {
  return [
    `  ${origin.padEnd(8)}  ${ran.startedAt} by ${ran.actor} on ${ran.host}`,
    `  run       ${ran.name}`,
    `  commit    ${ran.gitCommit ?? 'none'}`,
    `  code      ${code.digest} (${code.basis})`,
    ...packageLines(code.packages),
    `  reads     ${HELD[enforcement]}`,
    ...(attribution === null ? [] : [`  kept by   ${attributionText(attribution)}`]),
    `  output    ${outputDigest}`,
    ...(inputs.length === 0 ? [] : indented(inputsText(style, inputs))),
    ...recorded.map((each) => recordedLine(style, each)),
    ...(code.source === undefined ? [] : code.source.split('\n').map((line) => `  | ${line}`)),
  ];
}

function packageLines(packages: ComputationOrigin['code']['packages']): readonly string[] {
  const named = Object.entries(packages).map(([name, version]) => `${name}@${version}`);
  return named.length === 0 ? [] : [`  packages  ${named.join(', ')}`];
}

/** How far the make was held to what it declares. */
const HELD: Readonly<Record<ComputationOrigin['enforcement'], string>> = {
  pure: 'the declared ones: a pure make',
  isolated: 'the declared ones: a pure make in a process that reaches nothing else',
  outside: 'the declared ones were given to an outside command; what else it read, nobody saw',
  role: 'the declared ones, held to by the database',
  statement: 'the declared ones, held to by checked statements',
  none: 'observed: what is not declared was let through and recorded',
};

/** By which rule of which migration a result belongs to a structure that it was not computed in. */
function attributionText(attribution: JsonObject): string {
  const { rule, migration } = attribution;
  const words = rule === 'recorded_read' ? 'its recorded read' : JSON.stringify(rule);
  return typeof migration === 'string' ? `${words}, in ${migration}` : words;
}

function inputsText(style: Style, inputs: readonly InputOrigin[]): string {
  return tableText(
    style,
    [{ head: 'read' }, { head: 'table' }, { head: 'rows' }, { head: 'columns' }, { head: 'since then' }],
    inputs.map(({ read, table, keys, rowCount, columns, isPresent }) => [
      read,
      table,
      keysText(keys, rowCount),
      columns.join(', '),
      isPresent ? style('green', 'unchanged') : style('yellow', 'changed'),
    ]),
  );
}

function keysText(keys: InputOrigin['keys'], rowCount: number | null): string {
  if (keys === null || rowCount === null) return 'gone';
  if (rowCount === 0) return 'none';
  return rowCount <= 2 && keys.length === rowCount
    ? keys.map((key) => JSON.stringify(key)).join(' ')
    : countOf(rowCount, 'row');
}

function recordedLine(style: Style, { subject, now, declared, keys, rowCount }: RecordedOrigin): string {
  const rows = keys === null ? countOf(rowCount, 'row') : keysText(keys, rowCount);
  const name = now === undefined ? subject : `${subject} (now ${now})`;
  return `  read      ${name} ${rows}${declared ? '' : style('yellow', ', not declared')}`;
}

function indented(text: string): readonly string[] {
  return text.split('\n').map((line) => `  ${line}`);
}
