/** Values that come from the rows of tables that are new. */
import { tableId, type ForeignKeySpec, type TableSpec } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import type { Test } from './row-test.ts';
import { copiedValue, ruleOf } from './values.ts';
import type { Way } from './way.ts';
import type { Rebuilding } from './world.ts';

/** Why a row is not given the one row of a table that is new. */
export const SEVERAL = 'several rows to choose from';

/** Foreign keys to a table that is new: the one row there for the columns that the row has already. */
export function insertedWays(of: Rebuilding): Way {
  const joins: Sql[] = [];
  const values = new Map<string, Sql>();
  const tests: Test[] = [];
  for (const [index, key] of insertedKeys(of).entries()) {
    const target = of.world.next.get(key.to);
    const isRuled = Object.keys(key.columns).some(
      (child) => ruleOf(of.world.attribution, of.operation.table, child) !== undefined,
    );
    // Where the key goes on with it, each of several is a row of its own.
    const several: Test['becomes'] =
      of.spec.form !== undefined && key.kind !== 'secondary' ? 'recompute' : 'ambiguous';
    const whySeveral = `${SEVERAL}: ${key.to}`;
    if (target === undefined) {
      // While planning the table is not there yet: what is known of its rows is counted, the rest shows when it is.
      const rows = isRuled ? undefined : expectedRows(of, key);
      if (rows !== undefined) tests.push({ when: sql`${rows} > 1`, becomes: several, why: whySeveral });
      continue;
    }
    const i = sql.raw(`i${String(index)}`);
    const same = Object.entries(key.columns).flatMap(([child, column]) => {
      const source = of.operation.columns[child];
      const own = source === undefined ? undefined : copiedValue(of, child, source);
      return own === undefined ? [] : [sql`x.${sql.id(column)} = ${own}`];
    });
    joins.push(sql`left join lateral (select y.* from (select x.*, count(*) over () as "#n" from ${tableId(target.placement)} x
      where ${sql.join([...same, sql`true`], sql` and `)}) y limit 1) ${i} on true`);
    for (const [child, column] of Object.entries(key.columns)) {
      if (of.operation.columns[child]?.from !== 'inserted') continue;
      values.set(child, sql`case when ${i}."#n" = 1 then ${i}.${sql.id(column)} end`);
    }
    if (isRuled) continue;
    tests.push({ when: sql`coalesce(${i}."#n", 0) > 1`, becomes: several, why: whySeveral });
    if (!key.optional)
      tests.push({
        when: sql`${i}."#n" is null`,
        becomes: 'ambiguous',
        why: `no row to belong to: ${key.to}`,
      });
  }
  return { joins, values, tests };
}

/** Tables that are new and computed, of which nothing tells how many rows they will have for a row of this one. */
export function unforeseen(of: Rebuilding): readonly string[] {
  return insertedKeys(of)
    .filter((key) => of.spec.form !== undefined && key.kind !== 'secondary')
    .filter((key) => expectedRows(of, key) === undefined)
    .map(({ to }) => to);
}

function expectedRows(of: Rebuilding, key: ForeignKeySpec): Sql | undefined {
  const own = Object.entries(key.columns).flatMap(([child, column]) => {
    const source = of.operation.columns[child];
    const value = source === undefined ? undefined : copiedValue(of, child, source);
    return value === undefined ? [] : [[column, value] as const];
  });
  const spec = of.world.to.tables.find(({ name }) => name === key.to);
  return spec === undefined ? undefined : rowsToCome(of, spec, new Map(own));
}

/** How many rows a table that is new will have with these values: by the code that fills it, or by the rows above it. */
function rowsToCome(of: Rebuilding, spec: TableSpec, known: ReadonlyMap<string, Sql>): Sql | undefined {
  const conditions = [...known].map(([column, value]) => sql`x.${sql.id(column)} = ${value}`);
  const where = sql.join([...conditions, sql`true`], sql` and `);
  if (spec.contents !== undefined) {
    const types = spec.columns.map(({ name, type }) => sql`${sql.id(name)} ${sql.raw(type)}`);
    return sql`(select count(*) from json_to_recordset(${JSON.stringify(spec.contents)}::json) as x(${sql.join(types)}) where ${where})`;
  }
  if (spec.primaryKey.every((column) => known.has(column))) return sql`1`;
  const standing = of.world.next.get(spec.name);
  if (standing !== undefined)
    return sql`(select count(*) from ${tableId(standing.placement)} x where ${where})`;
  if (spec.form === undefined || spec.sourceKey.length < spec.primaryKey.length) return undefined;
  const above = spec.foreignKeys.filter(({ columns }) =>
    Object.keys(columns).every((column) => spec.primaryKey.includes(column)),
  );
  const brought = new Set(above.flatMap(({ columns }) => Object.keys(columns)));
  if (spec.primaryKey.some((column) => !brought.has(column))) return undefined;
  const factors = above.map(({ to, columns }) => {
    const parent = of.world.to.tables.find(({ name }) => name === to);
    const values = Object.entries(columns).flatMap(([child, column]) => {
      const value = known.get(child);
      return value === undefined ? [] : [[column, value] as const];
    });
    return parent === undefined ? undefined : rowsToCome(of, parent, new Map(values));
  });
  const counts = factors.filter((factor) => factor !== undefined);
  return counts.length < factors.length ? undefined : sql`(${sql.join(counts, sql` * `)})`;
}

function insertedKeys({ spec, operation }: Rebuilding): readonly ForeignKeySpec[] {
  return spec.foreignKeys.filter(({ name, columns }) =>
    Object.keys(columns).some((column) => {
      const source = operation.columns[column];
      return source?.from === 'inserted' && source.reference === name;
    }),
  );
}
