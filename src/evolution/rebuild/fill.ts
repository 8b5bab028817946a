/** Foreign keys whose columns varve fills itself: what their own sources say must be what was read. */
import { tableId, type ForeignKeySpec, type Origin, type ReadSpec } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import type { Test } from './row-test.ts';
import type { Rebuilding } from './world.ts';

/** What the sources of filled foreign keys say of an old row, joined to it by plain look-ups. */
export interface Fills {
  readonly joins: readonly Sql[];
  /** Rows that the sources lead elsewhere are computed anew. */
  readonly tests: readonly Test[];
  /** The foreign keys, by name, that were looked at. */
  readonly looked: ReadonlySet<string>;
}

const NONE: Fills = { joins: [], tests: [], looked: new Set() };

/** For each filled foreign key, where its sources lead from an old row `t`. */
export function fillsOf(
  of: Rebuilding,
  keys: readonly ForeignKeySpec[],
  valueOf: (child: string) => Sql | undefined,
): Fills {
  if (of.spec.sourceKey.some((column) => !isUnmoved(of, column))) return NONE;
  const joins = new Map<string, Sql>();
  const looked = new Set<string>();
  const tests: Test[] = [];
  for (const key of keys.filter(({ fills }) => fills !== undefined)) {
    const read = of.spec.reads.find((each) => each.table === key.to && isThrough(each, key));
    if (read === undefined || !joinRead(of, read, joins)) continue;
    looked.add(key.name);
    const alias = aliasOf(of, read.name);
    for (const [child, parent] of Object.entries(key.columns)) {
      const value = valueOf(child);
      if (value === undefined) continue;
      tests.push({
        when: sql`${alias}.${sql.id(parent)} is distinct from ${value}`,
        becomes: 'recompute',
        why: `its sources lead elsewhere: ${key.to}`,
      });
    }
  }
  return { joins: [...joins.values()], tests, looked };
}

/** Whether a read is the look-up through a filled foreign key. */
export function isThrough(read: ReadSpec, { columns, fills }: ForeignKeySpec): boolean {
  if (read.cardinality === 'many' || fills === undefined) return false;
  return Object.entries(columns).every(
    ([child, parent]) => JSON.stringify(read.match[parent]) === JSON.stringify(fills[child]),
  );
}

/** Joins the row that a read finds, after those that lead to it; false where it cannot be looked up now. */
function joinRead(of: Rebuilding, read: ReadSpec, joins: Map<string, Sql>): boolean {
  if (joins.has(read.name)) return true;
  const relation = of.world.next.get(read.table);
  // A table that is built has its new rows only, and the old one goes by other names.
  if (relation === undefined || relation.state === 'building' || read.cardinality === 'many') return false;
  const on: Sql[] = [];
  for (const [column, origin] of Object.entries(read.match)) {
    const source = sourceOf(of, origin, joins);
    if (source === undefined) return false;
    on.push(sql`${aliasOf(of, read.name)}.${sql.id(column)} = ${source}`);
  }
  joins.set(
    read.name,
    sql`left join ${tableId(relation.placement)} ${aliasOf(of, read.name)} on ${sql.join(on, sql` and `)}`,
  );
  return true;
}

function sourceOf(of: Rebuilding, origin: Origin, joins: Map<string, Sql>): Sql | undefined {
  if (origin.kind === 'key') return sql`t.${sql.id(origin.column)}`;
  const other = of.spec.reads.find(({ name }) => name === origin.read);
  if (other === undefined || !joinRead(of, other, joins)) return undefined;
  return sql`${aliasOf(of, other.name)}.${sql.id(origin.column)}`;
}

function aliasOf(of: Rebuilding, read: string): Sql {
  return sql.raw(`f${String(of.spec.reads.findIndex(({ name }) => name === read))}`);
}

/** Whether a column of the key is called as before, so that the old row answers for the new one. */
function isUnmoved({ operation }: Rebuilding, column: string): boolean {
  const source = operation.columns[column];
  return source?.from === 'same' && source.column === column && source.source === 0;
}
