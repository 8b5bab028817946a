/** Whether values that are there already fit the new definition: its types, and the rows that its foreign keys lead to. */
import { tableId, type ForeignKeySpec } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import type { ColumnSource } from '../change/change.ts';
import type { Facts } from './row-test.ts';
import { carriedValue, castTo, copiedValue, isNumeric, oldAlias, oldKeyColumn } from './values.ts';
import { rebuildOf, rebuilding, type Rebuilding } from './world.ts';

/** Whether an old value is empty or the same in the new type. */
export function fitsType(
  source: ColumnSource & { readonly from: 'cast' },
  type: string,
  { canJudgeText }: Facts,
): Sql {
  if (source.was === type) return sql`true`;
  const old = sql`${oldAlias(source.source)}.${sql.id(source.column)}`;
  const back = castTo(castTo(old, source.was, type), type, source.was);
  const same = sql`${back} is not distinct from ${old}`;
  const isText = canJudgeText && !(isNumeric(source.was) && isNumeric(type));
  return isText
    ? sql`case when ${old} is null then true when pg_input_is_valid(${old}::text, ${type}::text) then ${same} else false end`
    : sql`(${old} is null or ${same})`;
}

/** Foreign keys over columns that are there already, to a table that they did not lead to. */
export function repointedKeys(of: Rebuilding): readonly ForeignKeySpec[] {
  return of.spec.foreignKeys.filter((key) => {
    const goesOn = of.pair.keys.some((matched) => matched[key.name] !== undefined);
    return !goesOn && key.kind !== 'part' && copiedKey(of, key) !== undefined;
  });
}

/** The columns of a foreign key as the old row has them; undefined where it has not all of them. */
export function copiedKey(of: Rebuilding, key: ForeignKeySpec): readonly Sql[] | undefined {
  const values = Object.keys(key.columns).flatMap((child) => {
    const source = of.operation.columns[child];
    const value = source === undefined ? undefined : copiedValue(of, child, source);
    return value === undefined ? [] : [value];
  });
  return values.length === Object.keys(key.columns).length ? values : undefined;
}

/** Whether these values lead to a row, or are empty; undefined where that is not known yet. */
export function leads(of: Rebuilding, key: ForeignKeySpec, values: readonly Sql[]): Sql | undefined {
  const rows = newRows(of, key.to);
  if (rows === undefined) return undefined;
  const same = Object.values(key.columns).map(
    (column, index) => sql`x.${sql.id(column)} = ${values[index] ?? sql`null`}`,
  );
  const empty = values.map((value) => sql`${value} is null`);
  return sql`(${sql.join(empty, sql` or `)} or exists (select from ${rows} x where ${sql.join(same, sql` and `)}))`;
}

/** The keys that a table has on the new side, under its new column names; undefined where that is not known yet. */
function newRows({ world }: Rebuilding, table: string): Sql | undefined {
  const next = world.next.get(table);
  const pair = world.naming.pairs.get(table);
  const operation = rebuildOf(world, table);
  if (operation === undefined) return next === undefined ? undefined : tableId(next.placement);
  if (operation.from.length === 0) return next === undefined ? undefined : tableId(next.placement);
  const of = rebuilding(operation, world);
  const [old] = of.sources;
  if (old === undefined || pair === undefined) return undefined;
  const columns = of.spec.primaryKey.flatMap((column) => {
    const value = carriedValue(of, column);
    return value === undefined ? [] : [sql`${value} as ${sql.id(column)}`];
  });
  const on = old.spec.primaryKey.map((column, index) => sql`t.${sql.id(column)} = l.${oldKeyColumn(index)}`);
  return sql`(select ${sql.join(columns)} from ${world.listOf(table)} l join ${tableId(old.placement)} t on ${sql.join(on, sql` and `)}
    where l."#class" not in ('retire', 'ambiguous'))`;
}
