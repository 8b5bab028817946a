import type { DerivedDiff } from './diff.ts';

/**
 * `diffs/touched.csv`: what a run changed, a line per object, sorted byte by byte; names only.
 *
 * `rows` is how many rows of a table were touched, where that was counted; of a table whose rows differ and whose count
 * nobody gave, the difference of its numbers of rows at least. Lines end with a line feed, names are quoted where RFC 4180
 * asks for it.
 */
export function touchedCsv(
  derived: DerivedDiff,
  rowsByTable: ReadonlyMap<string, number> = new Map(),
): string {
  const tables = derived.tables.flatMap(({ table, change, rows_before: before, rows_after: after }) => {
    if (change === 'same') return [];
    const dot = table.indexOf('.');
    const rows = rowsByTable.get(table) ?? Math.abs((after ?? 0) - (before ?? 0));
    return [['rows', table.slice(0, dot), table.slice(dot + 1), change, String(rows)]];
  });
  const objects = (derived.objects ?? []).map(({ kind, schema, table, name, change }) => [
    kind,
    schema,
    [table === name ? null : table, name].filter((part) => part !== null).join('.'),
    change,
    '',
  ]);
  const lines = [...tables, ...objects].map((cells) => cells.map(cellText).join(',')).sort();
  return ['kind,schema,name,change,rows', ...lines].map((line) => `${line}\n`).join('');
}

function cellText(text: string): string {
  return /[",\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
