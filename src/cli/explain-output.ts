import type { JsonObject } from '../base/index.ts';
import type { AppliedRow, ExplainedRow, ExplainOutcome, ExplainQuestion } from '../evolution/index.ts';
import type { Context } from './context.ts';
import { usageFinding } from './failure.ts';
import { attributionOf, evolutionWorld, type AttributionRule } from './kinds.ts';
import { countText, tableText, type CommandResult, type Style } from './output.ts';
import { openRunner } from './runner.ts';
import { refusedResult } from './walk-output.ts';

interface ExplainFlags {
  readonly explain: string;
  readonly key?: string;
  readonly attribute?: readonly AttributionRule[];
  readonly limit?: number;
  readonly offset?: number;
}

/** `varve plan --explain`: looks, and writes nothing. */
export async function explained(
  context: Context,
  id: string | undefined,
  flags: ExplainFlags,
): Promise<CommandResult> {
  const { explain, key: keyText, attribute, limit, offset } = flags;
  if (id !== undefined && attribute !== undefined)
    return refusedResult([usageFinding('--attribute and an id at once', 'Leave one of them out.')]);
  const key = keyText === undefined ? undefined : keyOf(keyText);
  if (key === 'none')
    return refusedResult([usageFinding('--key is no JSON object', `Write --key '{"column":1}'.`)]);
  const opened = await openRunner(context, 'read');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  await using runner = opened;
  const { world, options } = runner;
  const rules = await attributionOf(world, options, attribute ?? []);
  if ('findings' in rules) return refusedResult(rules.findings);
  if (rules.functions.size > 0) {
    const hint = 'Plan with this rule first, then ask: varve plan ID --explain TABLE.';
    return refusedResult([
      usageFinding('a function as a rule, without a migration that holds its answers', hint),
    ]);
  }
  const { explainEvolution } = await import('../evolution/index.ts');
  const question: ExplainQuestion = {
    table: await tableMeant(runner, explain),
    attribution: rules.attribution,
    ...(key === undefined ? {} : { key }),
    ...(id === undefined ? {} : { migrationId: id }),
    ...(limit === undefined ? {} : { limit }),
    ...(offset === undefined ? {} : { offset }),
  };
  return resultOf(await explainEvolution(options, await evolutionWorld(world), question));
}

function keyOf(text: string): JsonObject | 'none' {
  try {
    const value: unknown = JSON.parse(text);
    const isKey = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isKey ? (value as JsonObject) : 'none';
  } catch {
    return 'none';
  }
}

/** A bare name is that of the one table that has it. */
async function tableMeant(
  { world, options }: Parameters<typeof tablesOf>[0],
  asked: string,
): Promise<string> {
  const { findIn } = await import('./table-argument.ts');
  const found = findIn(await tablesOf({ world, options }), asked);
  return typeof found === 'string' ? found : asked;
}

async function tablesOf({
  world,
  options,
}: Pick<
  Extract<Awaited<ReturnType<typeof openRunner>>, { readonly status: 'ok' }>,
  'world' | 'options'
>): Promise<readonly string[]> {
  const { deployedSet } = await import('../pipeline/index.ts');
  const deployed = (await deployedSet(options.store))?.set.tables ?? [];
  return [...new Set([...world.definitions.set.tables, ...deployed].map(({ name }) => name))];
}

function resultOf(outcome: ExplainOutcome): CommandResult {
  if (outcome.status === 'refused') return refusedResult(outcome.findings);
  if (outcome.status === 'rows') {
    const { table, rows, total } = outcome;
    return {
      status: 'ok',
      fields: { table, rows, total },
      text: (style) =>
        total === 0
          ? `Every row of ${table} can stay as it is.`
          : [
              tableText(
                style,
                [{ head: table }, { head: 'class' }, { head: 'why' }],
                rows.map((row) => [JSON.stringify(row.key), row.class, row.why]),
              ),
              ...(rows.length < total ? [`${countText(rows.length)} of ${countText(total)} rows`] : []),
            ].join('\n'),
    };
  }
  return outcome.status === 'row'
    ? { status: 'ok', fields: { row: outcome.row }, text: (style) => rowText(style, outcome.row) }
    : { status: 'ok', fields: { row: outcome.row }, text: (style) => appliedText(style, outcome.row) };
}

function rowText(style: Style, row: ExplainedRow): string {
  const { table, from, key, computation, found, inputs, recorded, above } = row;
  const why = row.why === '' ? 'nothing stands against keeping it' : row.why;
  const moved = from === table ? '' : `  from ${from}`;
  return [
    `${style('cyan', table)} ${JSON.stringify(key)}  ${style('bold', row.class)}${moved}`,
    `  why       ${why}`,
    computation === null
      ? '  computed  nothing is recorded of how it was computed'
      : `  ${computation.origin.padEnd(8)}  in ${computation.run} by ${computation.code}`,
    ...found.map(
      ({ column, from: way, isFound }) => `  value     ${column} by ${way}${isFound ? '' : ', none'}`,
    ),
    ...recorded.map(
      ({ subject, now, declared, columns, keys, rowCount, digest }) =>
        `  read      ${subjectText(subject, now)} ${keysText(keys, rowCount)} (${columns.join(', ')}) ${digest}${declared ? '' : ', not declared'}`,
    ),
    ...inputs.map(
      ({ read, table: source, known, digest }) =>
        `  input     ${read} of ${source}: ${KNOWN[known]}${digest === null ? '' : ` ${digest}`}`,
    ),
    ...above.map(
      (each) =>
        `  above     ${each.table}${each.key === undefined ? '' : ` ${JSON.stringify(each.key)}`}  ${each.class ?? ''}${each.why === '' ? '' : `, ${each.why ?? ''}`}`,
    ),
  ].join('\n');
}

const KNOWN: Readonly<Record<ExplainedRow['inputs'][number]['known'], string>> = {
  recorded: 'recorded',
  recorded_read: 'by the row that was read',
  narrowed: 'recorded, with key columns that are no more',
  present: 'what stands there now',
  unknown: 'nothing recorded',
};

function subjectText(subject: string, now: string | undefined): string {
  return now === undefined ? subject : `${subject} (now ${now})`;
}

function keysText(keys: readonly JsonObject[] | null, rowCount: number): string {
  if (keys === null || keys.length > 3) return `${countText(rowCount)} rows`;
  return keys.length === 0 ? 'no row' : keys.map((key) => JSON.stringify(key)).join(' ');
}

function appliedText(style: Style, { table, origin, before }: AppliedRow): string {
  const { computation, key } = origin;
  const rule = computation?.attribution?.['rule'];
  const now =
    computation === null
      ? 'carried: nothing is recorded of how it was computed'
      : typeof rule === 'string'
        ? `carried, by ${rule}`
        : `computed in ${computation.run.name}`;
  const then =
    before === null
      ? []
      : [
          `  before    ${before.computation === null ? 'brought by people' : `computed in ${before.computation.run.name}`}`,
          ...(before.computation?.recorded ?? []).map(
            ({ subject, now: present, keys, rowCount, declared }) =>
              `  read      ${subjectText(subject, present)} ${keysText(keys, rowCount)}${declared ? '' : ', not declared'}`,
          ),
        ];
  return [`${style('cyan', table)} ${JSON.stringify(key)}  applied`, `  now       ${now}`, ...then].join(
    '\n',
  );
}
