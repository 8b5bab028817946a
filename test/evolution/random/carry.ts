import type { Data } from './compute.ts';
import { ancestors } from './build.ts';
import { stableNames } from './expect.ts';
import { numberOf, written, type Value, type Values } from './make.ts';
import type { Model, Table } from './model.ts';

/** The rows of tables that people fill in a later model, from all the rows before: what was computed becomes theirs. */
export function carry(before: Model, model: Model, data: Data): Data {
  const carried = model.tables
    .filter(({ tier }) => tier === 'manual')
    .map((table): [string, readonly Values[]] => {
      const [old] = ancestors(before, table);
      if (old === undefined) return [table.id, data.get(table.id) ?? []];
      return [
        table.id,
        (data.get(old.id) ?? []).map((row) => carriedRow({ before, model }, old, table, row)),
      ];
    });
  return new Map(carried);
}

function carriedRow(
  { before, model }: { readonly before: Model; readonly model: Model },
  old: Table,
  table: Table,
  row: Values,
): Values {
  const former = new Map(Object.entries(stableNames(before, old)).map(([name, id]) => [id, name]));
  const own = new Map([...table.key, ...table.columns].map((column) => [column.id, column]));
  const entries = Object.entries(stableNames(model, table)).map(([name, id]): [string, Value] => {
    const was = former.get(id);
    const column = own.get(id);
    if (was === undefined)
      return [name, column?.default === undefined ? null : written(column, column.default)];
    const value = row[was] ?? null;
    return [name, column === undefined || value === null ? value : written(column, numberOf(value))];
  });
  return Object.fromEntries(entries);
}
