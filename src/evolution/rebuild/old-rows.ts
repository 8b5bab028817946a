/** The old rows of a rebuild, with what is recorded of how they were computed. */
import { keyHash, tableId, type Relation, type TableSpec } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import { computedRelation } from './coverage.ts';
import { oldAlias } from './values.ts';
import type { Rebuilding } from './world.ts';

/** The old key, of whichever source has the row. */
export function oldKeys(of: Rebuilding): readonly Sql[] {
  const [first] = of.pair.sources;
  return (first?.primaryKey ?? []).map((column) => {
    const now = Object.entries(of.pair.columns[0] ?? {}).find(([, was]) => was === column)?.[0];
    const values = of.pair.columns.flatMap((columns, index) => {
      const old = index === 0 ? column : now === undefined ? undefined : columns[now];
      return old === undefined ? [] : [sql`${oldAlias(index)}.${sql.id(old)}`];
    });
    return values.length > 1 ? sql`coalesce(${sql.join(values)})` : sql.join(values);
  });
}

/** The place in the list of a column of an old table's key; undefined where the list does not hold it. */
export function placeOfOldKey(of: Rebuilding, table: string, column: string): number | undefined {
  const index = of.operation.from.indexOf(table);
  const [first] = of.pair.sources;
  if (first === undefined || index < 0) return undefined;
  if (index === 0) return orUndefined(first.primaryKey.indexOf(column));
  const now = Object.entries(of.pair.columns[index] ?? {}).find(([, was]) => was === column)?.[0];
  const former = now === undefined ? undefined : of.pair.columns[0]?.[now];
  return former === undefined ? undefined : orUndefined(first.primaryKey.indexOf(former));
}

function orUndefined(index: number): number | undefined {
  return index < 0 ? undefined : index;
}

export function sources(of: Rebuilding, only: Sql | undefined): Sql {
  const [first, ...others] = of.sources.map((relation, index) => sourceRows(relation, index, only));
  const joined = others.map((rows, index) => {
    const same = of.spec.primaryKey.flatMap((column) => {
      const left = of.pair.columns[0]?.[column];
      const right = of.pair.columns[index + 1]?.[column];
      if (left === undefined || right === undefined) return [];
      return [sql`t.${sql.id(left)} = ${oldAlias(index + 1)}.${sql.id(right)}`];
    });
    return sql`full join ${rows} on ${sql.join(same, sql` and `)}`;
  });
  const computations = of.sources.flatMap((_, index) => {
    const relation = computedRelation(of, index);
    if (relation === undefined) return [];
    const c = computationAlias(index);
    const hash = keyHash(
      oldAlias(index),
      computationKey(of, index) ?? [],
      of.pair.sources[index]?.columns ?? [],
    );
    return [sql`left join varve.computation ${c} on ${c}.relation = ${relation} and ${c}.key_hash = ${hash}`];
  });
  return sql.join([first ?? sql``, ...joined, ...computations], sql` `);
}

function sourceRows(relation: Relation, index: number, only: Sql | undefined): Sql {
  const t = oldAlias(index);
  const where = only === undefined || index > 0 ? sql`` : sql`where ${only}`;
  return sql`(select * from ${tableId(relation.placement)} t ${where}) ${t}`;
}

/** The columns of a source by which its computation is found: its own key, or that of its master. */
export function computationKey(of: Rebuilding, source: number): readonly string[] | undefined {
  const spec = of.pair.sources[source];
  if (spec?.form !== undefined) return spec.sourceKey;
  if (spec?.master === undefined || of.spec.form === undefined) return undefined;
  const columns = masterColumns(spec, of.world.from.tables);
  const master = of.world.from.tables.find(({ name }) => name === spec.master);
  return master?.form === undefined ? undefined : master.sourceKey.map((column) => columns[column] ?? column);
}

/** The columns of a part by those of its master's key. */
export function masterColumns(
  part: TableSpec,
  tables: readonly TableSpec[],
): Readonly<Record<string, string>> {
  const key = part.foreignKeys.find(({ kind }) => kind === 'part');
  if (key === undefined) return {};
  const own = Object.fromEntries(Object.entries(key.columns).map(([child, parent]) => [parent, child]));
  if (key.to === part.master) return own;
  const owner = tables.find(({ name }) => name === key.to);
  const above = owner === undefined ? {} : masterColumns(owner, tables);
  return Object.fromEntries(Object.entries(above).map(([column, name]) => [column, own[name] ?? name]));
}

function computationAlias(source: number): Sql {
  return sql.raw(source === 0 ? 'c' : `c${String(source)}`);
}

export function computationColumns(of: Rebuilding): Sql {
  const at = of.sources.findIndex(
    (_, index) => computedRelation(of, index) !== undefined && computationKey(of, index) !== undefined,
  );
  if (at < 0) return sql`null::integer as "#spec", null::integer as "#duration", null::bytea as "#hash"`;
  const c = computationAlias(at);
  return sql`${c}.spec as "#spec", ${c}.duration_us as "#duration", ${c}.key_hash as "#hash"`;
}
