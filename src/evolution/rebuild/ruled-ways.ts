/** Values that people gave: rows of a lookup in the code, expressions of the bundle, and what functions of it said. */
import { rowDigest } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import { ruleValue } from '../rule/expression.ts';
import { copiedValue, foundColumn, foundColumns, oldKeyColumn, ruleOf, typeOf } from './values.ts';
import { NO_WAY, type Way } from './way.ts';
import type { Rebuilding } from './world.ts';

/** Columns of a lookup, as its rows in the code say them. */
export function contentsWay(of: Rebuilding): Way {
  const { spec, operation } = of;
  const columns = spec.columns.filter(({ name }) => operation.columns[name]?.from === 'contents');
  if (columns.length === 0) return NO_WAY;
  const types = spec.columns.map(({ name, type }) => sql`${sql.id(name)} ${sql.raw(type)}`);
  const same = spec.primaryKey.flatMap((column) => {
    const source = operation.columns[column];
    const own = source === undefined ? undefined : copiedValue(of, column, source);
    return own === undefined ? [] : [sql`k.${sql.id(column)} = ${own}`];
  });
  const rows = sql`json_to_recordset(${JSON.stringify(spec.contents ?? [])}::json) as k(${sql.join(types)})`;
  return {
    joins: [
      sql`left join lateral (select k.* from ${rows} where ${sql.join([...same, sql`true`], sql` and `)} limit 1) k on true`,
    ],
    values: new Map(columns.map(({ name }) => [name, sql`k.${sql.id(name)}`])),
    // Of a row that the code says no more, nobody knows the new columns, and it goes.
    tests: [
      {
        when: sql`k.${sql.id(spec.primaryKey[0] ?? '')} is null`,
        becomes: 'retire',
        why: `not in the code any more: ${spec.name}`,
      },
    ],
  };
}

/** Expressions of the bundle, over the columns of the old row. */
export function ruleWays(of: Rebuilding, found: readonly string[]): Way {
  const { operation, world, spec } = of;
  const values = new Map<string, Sql>();
  const joins: Sql[] = [];
  for (const [index, column] of found.entries()) {
    const rule = ruleOf(world.attribution, operation.table, column);
    if (rule === undefined) continue;
    const x = sql.raw(`x${String(index)}`);
    joins.push(sql`left join lateral (select ${ruleValue(rule, typeOf(spec, column))} as value
      from (select ${sql.join((of.pair.sources[0]?.columns ?? []).map(({ name }) => sql`t.${sql.id(name)}`))}) old) ${x} on true`);
    values.set(column, sql`${x}.value`);
  }
  return { joins, values, tests: [] };
}

/** Whether a function of the bundle was asked about rows of this table. */
export function isDecided({ operation, world }: Rebuilding): boolean {
  return (world.decisions[operation.table]?.length ?? 0) > 0;
}

/** Whether a function may say the value of a column: of one that the record would tell. */
export function isDecidable(of: Rebuilding, column: string): boolean {
  const from = of.operation.columns[column]?.from;
  return isDecided(of) && (from === 'recorded' || from === 'inserted');
}

/** What the record does not tell decides nothing where a function told it. */
export function unlessDecided(of: Rebuilding, way: Way): Way {
  if (!isDecided(of)) return way;
  const tests = way.tests.map((test) =>
    test.becomes === 'ambiguous'
      ? { ...test, when: sql`(d."#is" is distinct from 'values' and ${test.when})` }
      : test,
  );
  return { ...way, tests };
}

/** What functions said: `d` holds it for the rows that are as they were when the functions were asked. */
export function decisionWay(of: Rebuilding): Way {
  const { pair, spec, operation, world } = of;
  const [old] = pair.sources;
  if (old === undefined || !isDecided(of)) return NO_WAY;
  const found = foundColumns(of);
  const lines = (world.decisions[operation.table] ?? []).map(({ key, row, is }) => ({
    ...Object.fromEntries(old.primaryKey.map((column, index) => [`o${String(index)}`, key[column] ?? null])),
    ...(typeof is === 'string'
      ? {}
      : Object.fromEntries(found.map((column, index) => [`v${String(index)}`, is[column] ?? null]))),
    '#is': typeof is === 'string' ? is : 'values',
    '#row': row,
  }));
  const columns = [
    ...old.primaryKey.map((column, index) => sql`${oldKeyColumn(index)} ${sql.raw(typeOf(old, column))}`),
    ...found.map((column, index) => sql`${foundColumn(index)} ${sql.raw(typeOf(spec, column))}`),
    sql`"#is" text, "#row" text`,
  ];
  const same = old.primaryKey.map((column, index) => sql`d.${oldKeyColumn(index)} = t.${sql.id(column)}`);
  return {
    joins: [
      sql`left join json_to_recordset(${JSON.stringify(lines)}::json) as d(${sql.join(columns)})
        on ${sql.join(same, sql` and `)} and d."#row" = ${oldRowDigest(of, sql`t`)}`,
    ],
    values: new Map(),
    tests: [],
  };
}

/** The digest by which an old row is known to be as it was, as text. */
export function oldRowDigest({ pair }: Rebuilding, row: Sql): Sql {
  const columns = (pair.sources[0]?.columns ?? []).map(({ name }) => name);
  return sql`encode(sha256(${rowDigest(row, columns)}), 'hex')`;
}
