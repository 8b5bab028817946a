/** What columns are, whatever they are called in a version. */
import type { Values } from './make.ts';
import { keyColumns, tableOf, type Model, type Table } from './model.ts';

/** What a column is, whatever it is called: where its values come from in the end. */
export function stableNames(model: Model, table: Table): Readonly<Record<string, string>> {
  const owner = table.master === undefined ? {} : keyNames(model, tableOf(model, table.master));
  const own = [...table.key, ...table.columns].map(({ name, id }): [string, string] => [name, id]);
  const brought = table.keys.flatMap((key) => {
    const parent = keyNames(model, tableOf(model, key.to));
    return Object.entries(keyColumns(model, key)).map(([child, column]): [string, string] => [
      child,
      key.suffix === undefined ? (parent[column] ?? '') : `${parent[column] ?? ''}@${key.id}`,
    ]);
  });
  return { ...owner, ...Object.fromEntries([...brought, ...own]) };
}

function keyNames(model: Model, table: Table): Readonly<Record<string, string>> {
  const columns = new Set([...table.columns.map(({ name }) => name), ...secondaryColumns(model, table)]);
  return Object.fromEntries(Object.entries(stableNames(model, table)).filter(([name]) => !columns.has(name)));
}

function secondaryColumns(model: Model, table: Table): readonly string[] {
  const secondary = table.keys.filter(({ kind }) => kind === 'secondary');
  return secondary.flatMap((key) => Object.keys(keyColumns(model, key)));
}

/** A row by what its columns are. */
export function stableRow(model: Model, table: Table, row: Values): Readonly<Record<string, string>> {
  const names = stableNames(model, table);
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [names[name] ?? name, String(value)]));
}

/** The key of a make as text. */
export function keyText(row: Readonly<Record<string, string>>): string {
  const entries = Object.entries(row).toSorted(([left], [right]) => (left < right ? -1 : 1));
  return entries.map(([name, value]) => `${name}=${value}`).join(' ');
}
