/** Values that come from the rows that were read, by what is recorded of these reads. */
import { tableId, type ForeignKeySpec, type FormerKeyNames, type Relation } from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import { computedRelation } from './coverage.ts';
import { placeOfOldKey } from './old-rows.ts';
import type { Facts, Test } from './row-test.ts';
import {
  changesKey,
  copiedValue,
  foundColumn,
  foundColumns,
  oldKeyColumn,
  ruleOf,
  typeOf,
} from './values.ts';
import type { Way } from './way.ts';
import { rebuildOf, rebuilding, type Rebuilding } from './world.ts';

/** Foreign keys that are found from recorded reads. */
export function recordedWays(of: Rebuilding, { readSubjects, formerKeys }: Facts): Way {
  const joins: Sql[] = [];
  const values = new Map<string, Sql>();
  const tests: Test[] = [];
  const computed = computedRelation(of, 0);
  for (const [index, key] of recordedKeys(of).entries()) {
    const target = targetOf(of, key.to);
    if (target === undefined) continue;
    const [r, p, q] = ['r', 'p', 'q'].map((letter) => sql.raw(`${letter}${String(index)}`)) as [
      Sql,
      Sql,
      Sql,
    ];
    if (computed === undefined || readSubjects === undefined) {
      // A rule names the row where there is no record at all.
      if (isRuled(of, key)) continue;
      tests.push({ when: sql`true`, becomes: 'ambiguous', why: `nothing recorded: ${key.to}` });
      continue;
    }
    const about = sql`w.relation = ${computed} and ${readSubjects(target.relation, sql`w`)}`;
    joins.push(sql`left join (${recordedReads(target.relation, formerKeys.get(target.relation.id), about)}) ${r}
      on ${r}.key_hash = c.key_hash and ${r}.spec = c.spec`);
    const same = target.relation.spec.primaryKey.map(
      (column, place) => sql`${p}.${sql.id(column)} = ${r}.${readKeyColumn(place)}`,
    );
    joins.push(sql`left join ${tableId(target.relation.placement)} ${p} on ${sql.join(same, sql` and `)}`);
    const parent = target.rebuild;
    if (parent !== undefined && changesKey(parent)) {
      const on = target.relation.spec.primaryKey.flatMap((column) => {
        const place = placeOfOldKey(parent, target.relation.name, column);
        return place === undefined ? [] : [sql`${q}.${oldKeyColumn(place)} = ${p}.${sql.id(column)}`];
      });
      joins.push(sql`left join ${of.world.listOf(key.to)} ${q} on ${sql.join(on, sql` and `)}`);
    }
    for (const [child, column] of Object.entries(key.columns)) {
      if (of.operation.columns[child]?.from !== 'recorded') continue;
      const place = parent === undefined ? -1 : foundColumns(parent).indexOf(column);
      const former = target.columns[column];
      const value =
        place >= 0
          ? sql`${q}.${foundColumn(place)}`
          : former === undefined
            ? undefined
            : sql`${p}.${sql.id(former)}`;
      if (value !== undefined) values.set(child, value);
    }
    tests.push(...recordedTests(of, key, { r, p, target: target.relation }));
    tests.push(...sharedTests(of, key, { p, columns: target.columns }));
  }
  return { joins, values, tests };
}

/** A joined recorded read. */
export interface JoinedRead {
  readonly table: string;
  /** The alias of the recorded read. */
  readonly r: Sql;
  /** The primary key of the one row that was read, where it is there; else null. */
  readonly key: readonly Sql[];
}

/** Tables whose recorded reads are joined. */
export function joinedReads(of: Rebuilding): readonly JoinedRead[] {
  if (computedRelation(of, 0) === undefined) return [];
  const joined = new Map<string, JoinedRead>();
  for (const [index, { to }] of recordedKeys(of).entries()) {
    const target = targetOf(of, to);
    if (joined.has(to) || target === undefined) continue;
    const [r, p] = [sql.raw(`r${String(index)}`), sql.raw(`p${String(index)}`)];
    const key = target.relation.spec.primaryKey.map((column) => sql`${p}.${sql.id(column)}`);
    joined.set(to, { table: to, r, key });
  }
  return [...joined.values()];
}

/** The foreign keys whose columns are found from recorded reads. */
export function recordedKeys({ spec, operation }: Rebuilding): readonly ForeignKeySpec[] {
  return spec.foreignKeys.filter(({ name, columns }) =>
    Object.keys(columns).some((column) => {
      const source = operation.columns[column];
      return source?.from === 'recorded' && source.reference === name;
    }),
  );
}

interface Target {
  readonly relation: Relation;
  /** New column to the one in the standing structure. */
  readonly columns: Readonly<Record<string, string>>;
  readonly rebuild: Rebuilding | undefined;
}

/** Where the rows stand that were read: the structure of now, whatever becomes of it. */
export function targetOf({ world }: Rebuilding, table: string): Target | undefined {
  const pair = world.naming.pairs.get(table);
  const [old] = pair?.sources ?? [];
  const relation = old === undefined ? undefined : world.old.get(old.name);
  if (pair === undefined || relation === undefined) return undefined;
  const operation = rebuildOf(world, table);
  return {
    relation,
    columns: pair.columns[0] ?? {},
    rebuild: operation === undefined ? undefined : rebuilding(operation, world),
  };
}

/** A column of a joined recorded read: how many rows were read; -1 where that is not known. */
export const READ_ROWS: Sql = sql.id('#rows');

/** A column of a joined recorded read: the i-th column of the key of the one row that was read, else null. */
function readKeyColumn(index: number): Sql {
  return sql.id(`#key ${String(index)}`);
}

/**
 * The reads `w` of a table with what is asked of them again and again, by forms that are not null for null: the database
 * would take others apart, and look into the JSON of a read at each place that names them. The key of the one row may
 * have had columns with other names then.
 */
function recordedReads({ spec }: Relation, former: FormerKeyNames | undefined, about: Sql): Sql {
  const key = spec.primaryKey.map((column, index) => {
    const names = (former?.get(column) ?? [column]).map((name) => sql`w.keys -> 0 ->> ${name}::text`);
    const value = names.length === 0 ? sql`null` : sql`coalesce(${sql.join(names)})`;
    return sql`case when jsonb_array_length(w.keys) = 1 then (${value})::${sql.raw(typeOf(spec, column))} end as ${readKeyColumn(index)}`;
  });
  return sql`select w.key_hash, w.spec, w.columns, w.digest, coalesce(jsonb_array_length(w.keys), -1) as ${READ_ROWS}, ${sql.join(key)}
    from varve.recorded_read w where ${about}`;
}

function isRuled({ world, operation }: Rebuilding, key: ForeignKeySpec): boolean {
  return Object.keys(key.columns).some(
    (column) => ruleOf(world.attribution, operation.table, column) !== undefined,
  );
}

function recordedTests(
  of: Rebuilding,
  key: ForeignKeySpec,
  { r, p, target }: { readonly r: Sql; readonly p: Sql; readonly target: Relation },
): readonly Test[] {
  const [first = ''] = target.spec.primaryKey;
  const ruled = isRuled(of, key);
  // A rule names the row where the record does not; whether it does is tested where rules are.
  const unless = (when: Sql): Sql => (ruled ? sql`false and ${when}` : when);
  const several: Test['becomes'] = key.kind === 'secondary' ? 'ambiguous' : 'recompute';
  return [
    {
      when: unless(sql`coalesce(${r}.${READ_ROWS}, -1) < 0`),
      becomes: 'ambiguous',
      why: `nothing recorded: ${key.to}`,
    },
    ...(ruled
      ? []
      : [
          {
            when: sql`${r}.${READ_ROWS} > 1`,
            becomes: several,
            why: `several rows read: ${key.to}`,
          },
        ]),
    ...(key.optional
      ? []
      : [
          {
            when: unless(sql`${r}.${READ_ROWS} = 0`),
            becomes: 'ambiguous' as const,
            why: `no row read: ${key.to}`,
          },
        ]),
    {
      when: unless(sql`(${r}.${READ_ROWS} = 1 and ${p}.${sql.id(first)} is null)`),
      becomes: 'ambiguous',
      why: `the row that was read is gone: ${key.to}`,
    },
  ];
}

/** Columns of the new foreign key that the row has already must be those of the row that was read. */
function sharedTests(
  of: Rebuilding,
  key: ForeignKeySpec,
  { p, columns }: { readonly p: Sql; readonly columns: Readonly<Record<string, string>> },
): readonly Test[] {
  const differing = Object.entries(key.columns).flatMap(([child, column]) => {
    const source = of.operation.columns[child];
    const former = columns[column];
    const own = source === undefined ? undefined : copiedValue(of, child, source);
    return own === undefined || former === undefined
      ? []
      : [sql`${own} is distinct from ${p}.${sql.id(former)}`];
  });
  if (differing.length === 0) return [];
  const [first] = Object.values(columns);
  return [
    {
      when: sql`(${p}.${sql.id(first ?? '')} is not null and (${sql.join(differing, sql` or `)}))`,
      becomes: of.spec.form === undefined ? 'ambiguous' : 'recompute',
      why: `another row read than its key leads to: ${key.to}`,
    },
  ];
}
