import type { Command } from 'commander';
import { stale, type StaleTable, type WhyStale } from '../../pipeline/index.ts';
import { withExamples, type Act } from '../command.ts';
import type { Context } from '../context.ts';
import { countOf, countText, tableText, type CommandResult, type Style } from '../output.ts';
import { openProjectWorld } from '../open-project-world.ts';
import { findSpec, isFinding } from '../table-argument.ts';
import { refusedResult } from '../walk-output.ts';

/** `varve stale` */
export function register(command: Command, act: Act): void {
  withExamples(command, ['varve stale', 'varve stale audit.license_verdict --json'])
    .argument('[table]', 'one computed table; default: all')
    .action(act(run));
}

async function run(context: Context, table: string | undefined): Promise<CommandResult> {
  const opened = await openProjectWorld(context, 'read');
  if (opened.status === 'refused') return refusedResult(opened.findings);
  const { store, definitions, codeByTable } = opened.world;
  const spec = table === undefined ? undefined : findSpec(definitions, table);
  if (spec !== undefined && isFinding(spec)) return refusedResult([spec]);
  const names = spec === undefined ? undefined : [spec.name];
  const result = await stale(store, definitions, await codeByTable(), names);
  if (result.status === 'refused') return refusedResult(result.findings);
  const { tables } = result;
  return { status: 'ok', fields: { tables }, text: (style) => staleText(style, tables) };
}

/** Keys to show of each table; the JSON has all of them. */
const SHOWN_KEYS = 20;

function staleText(style: Style, tables: readonly StaleTable[]): string {
  const found = tables.filter(({ stale: keys, upstream }) => keys.length > 0 || upstream.length > 0);
  if (found.length === 0) return 'Nothing is stale.';
  return found.map((table) => tableStaleText(style, table)).join('\n\n');
}

function tableStaleText(style: Style, { table, stale: keys, below, upstream }: StaleTable): string {
  const shown = keys.slice(0, SHOWN_KEYS);
  const rest = keys.length - shown.length;
  return [
    `${style('cyan', table)}  ${countOf(keys.length, 'stale key')}`,
    ...(keys.length === 0 ? [] : [keysText(style, shown)]),
    ...(rest > 0 ? [style('dim', `and ${countText(rest)} more; --json has all`)] : []),
    ...below
      .filter(({ rows }) => rows > 0)
      .map(({ table: name, rows }) => `below: ${countOf(rows, 'row')} of ${name}`),
    ...upstream.map(
      ({ table: name, rows }) =>
        `upstream would be computed again for ${countOf(rows, 'row')}: ${name}; an equal result leaves them as they are`,
    ),
  ].join('\n');
}

function keysText(style: Style, keys: StaleTable['stale']): string {
  return tableText(
    style,
    [{ head: 'key' }, { head: 'why' }],
    keys.map(({ key, reasons }) => [JSON.stringify(key), reasons.map(reasonText).join('; ')]),
  );
}

/** Where more is digested than the make reaches, the edit may be elsewhere. */
const BASIS: Readonly<Record<Extract<WhyStale, { kind: 'code' }>['basis'], string>> = {
  bundle: '',
  sql: '',
  command: ' (its arguments and the files that they name count)',
  module: ' (its whole module counts, since what it reaches cannot be told)',
  text: ' (its text alone counts, since its file is not known)',
};

function reasonText(reason: WhyStale): string {
  if (reason.kind === 'reads') return 'its declared reads are others now';
  if (reason.kind === 'inputs')
    return `${reason.reads.map(({ read, table }) => `${read} (${table})`).join(', ')} changed`;
  const packages = reason.packages.map(
    ({ name, from, to }) => `${name} ${from ?? 'absent'} -> ${to ?? 'absent'}`,
  );
  return [...(reason.isSourceChanged ? [`the code changed${BASIS[reason.basis]}`] : []), ...packages].join(
    ', ',
  );
}
