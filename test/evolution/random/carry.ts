import type { Settled } from './compute.ts';
import { ancestors } from './build.ts';
import { movedTables, valueAbove, type Both } from './expect.ts';
import { stableNames } from './stable.ts';
import { numberOf, written, type Value, type Values } from './make.ts';
import { isByPeople, primaryKey, type Model, type Table } from './model.ts';

/** The rows of tables that people fill in a later model, from all there was before: what was computed becomes theirs. */
export function carry(before: Model, model: Model, settled: Settled): Settled['data'] {
  const was = { model: before, settled };
  const both: Both = { was, now: { model }, moved: movedTables(was, { model }) };
  const carried = model.tables
    .filter((table) => isByPeople(model, table))
    .map((table): [string, readonly Values[]] => {
      const olds = ancestors(before, table);
      if (olds.length === 0) return [table.id, settled.data.get(table.id) ?? []];
      const [first = [], ...others] = olds.map((old) =>
        (settled.data.get(old.id) ?? []).map((row) => carriedRow(both, old, table, row)),
      );
      return [
        table.id,
        others.reduce<readonly Values[]>(
          (left, right, at) => joined(both, table, { left, right, old: olds[at + 1] }),
          first,
        ),
      ];
    });
  return new Map(carried);
}

/** Rows with their partners; one without goes. */
function joined(
  { was, now }: Both,
  table: Table,
  {
    left,
    right,
    old,
  }: { readonly left: readonly Values[]; readonly right: readonly Values[]; readonly old: Table | undefined },
): readonly Values[] {
  const key = primaryKey(now.model, table);
  const brought = new Set(old === undefined ? [] : Object.values(stableNames(was.model, old)));
  const own = Object.entries(stableNames(now.model, table)).filter(([, id]) => brought.has(id));
  return left.flatMap((row) => {
    const partner = right.find((each) => key.every((column) => each[column] === row[column]));
    if (partner === undefined) return [];
    return [{ ...row, ...Object.fromEntries(own.map(([name]) => [name, partner[name] ?? null])) }];
  });
}

function carriedRow(both: Both, old: Table, table: Table, row: Values): Values {
  const { was, now } = both;
  const former = new Map(Object.entries(stableNames(was.model, old)).map(([name, id]) => [id, name]));
  const own = new Map([...table.key, ...table.columns].map((column) => [column.id, column]));
  const entries = Object.entries(stableNames(now.model, table)).map(([name, id]): [string, Value] => {
    const before = former.get(id);
    const column = own.get(id);
    if (before === undefined && column === undefined) {
      const value = valueAbove(both, { old, table, unit: { key: row, inputs: {} }, id });
      return [name, value === undefined || value === 'null' ? null : Number(value)];
    }
    if (before === undefined)
      return [name, column?.default === undefined ? null : written(column, column.default)];
    const value = row[before] ?? null;
    return [name, column === undefined || value === null ? value : written(column, numberOf(value))];
  });
  return Object.fromEntries(entries);
}
