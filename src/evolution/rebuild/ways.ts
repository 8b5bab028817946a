/**
 * How values are found that no old row has: from the row above, a recorded read, a table that is new, the contents of a
 * lookup, or a rule of the bundle; and what each way says of the rows for which it finds none.
 */
import {
  rowDigest,
  tableId,
  type ForeignKeySpec,
  type FormerKeyNames,
  type Relation,
  type TableSpec,
} from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import { computedRelation } from './coverage.ts';
import { placeOfOldKey } from './old-rows.ts';
import { ruleValue } from '../rule/expression.ts';
import { fillsOf } from './fill.ts';
import { copiedKey, fitsType, leads, repointedKeys } from './fitting.ts';
import { IN_PLACE, type Facts, type Test } from './row-test.ts';
import {
  changesKey,
  copiedValue,
  foundColumn,
  foundColumns,
  isNarrower,
  oldKeyColumn,
  ruleOf,
  typeOf,
} from './values.ts';
import { rebuildOf, rebuilding, type Rebuilding } from './world.ts';

export interface Ways {
  readonly joins: readonly Sql[];
  /** The found values, in the order of `foundColumns`. */
  readonly values: readonly Sql[];
  readonly tests: readonly Test[];
}

/** How values are found that are not copied: each way joins what it looks at, once. */
export function waysOf(of: Rebuilding, found: readonly string[], facts: Facts): Ways {
  const parents = parentWays(of);
  const reads = recordedWays(of, facts);
  const inserted = insertedWays(of);
  const contents = contentsWay(of);
  const rules = ruleWays(of, found);
  const decided = decisionWay(of);
  const all = new Map([...parents.values, ...reads.values, ...inserted.values, ...contents.values]);
  const values = found.map((column) => {
    const type = sql.raw(typeOf(of.spec, column));
    const rule = rules.values.get(column);
    const source = of.operation.columns[column];
    const value = all.get(column) ?? (source === undefined ? undefined : fittingValue(of, column, facts));
    const said = isDecidable(of, column) ? sql`d.${foundColumn(found.indexOf(column))}` : undefined;
    const known = [value, rule, said].filter((each) => each !== undefined);
    return known.length > 1 ? sql`coalesce(${sql.join(known)})` : (known[0] ?? sql`null::${type}`);
  });
  const ways = [parents, unlessDecided(of, reads), unlessDecided(of, inserted), contents, rules, decided];
  const fills = fillsOf(of, recordedKeys(of), (child) => {
    const place = found.indexOf(child);
    return place < 0 ? undefined : values[place];
  });
  return {
    joins: [...ways.flatMap(({ joins }) => joins), ...fills.joins],
    values,
    tests: [...ways.flatMap(({ tests }) => tests), ...fills.tests],
  };
}

/** What the old row has, unless a rule is there for the rows in which it does not fit. */
function fittingValue(of: Rebuilding, column: string, facts: Facts): Sql | undefined {
  const { spec, operation, world } = of;
  const source = operation.columns[column];
  const value = source === undefined ? undefined : copiedValue(of, column, source);
  if (value === undefined || ruleOf(world.attribution, spec.name, column) === undefined) return value;
  const fits = [
    ...(source?.from === 'cast' ? [fitsType(source, typeOf(spec, column), facts)] : []),
    ...repointedKeys(of)
      .filter(({ columns }) => columns[column] !== undefined)
      .flatMap((key) => leads(of, key, copiedKey(of, key) ?? []) ?? []),
  ];
  return fits.length === 0 ? value : sql`case when ${sql.join(fits, sql` and `)} then ${value} end`;
}

interface Way {
  readonly joins: readonly Sql[];
  readonly values: ReadonlyMap<string, Sql>;
  readonly tests: readonly Test[];
}

const NO_WAY: Way = { joins: [], values: new Map(), tests: [] };

/** Rows above that went elsewhere: what became of them decides over the row below, and their new key goes along. */
function parentWays(of: Rebuilding): Way {
  const { pair, spec, world } = of;
  const [old] = pair.sources;
  if (old === undefined) return NO_WAY;
  const joins: Sql[] = [];
  const values = new Map<string, Sql>();
  const tests: Test[] = [];
  for (const [index, now] of spec.foreignKeys.entries()) {
    const was = pair.keys[0]?.[now.name];
    const operation = rebuildOf(world, now.to);
    if (was === undefined || operation === undefined || operation.from.length === 0) continue;
    const parent = rebuilding(operation, world);
    if (!isFollowed(of, now, parent)) continue;
    const m = sql.raw(`m${String(index)}`);
    const on = Object.entries(was.columns).flatMap(([child, column]) => {
      const place = placeOfOldKey(parent, was.to, column);
      return place === undefined ? [] : [sql`${m}.${oldKeyColumn(place)} = t.${sql.id(child)}`];
    });
    joins.push(sql`left join ${world.listOf(now.to)} ${m} on ${sql.join(on, sql` and `)}`);
    for (const [child, column] of Object.entries(now.columns)) {
      const value = parentValue(parent, { m, was, column });
      if (of.operation.columns[child]?.from === 'parent' && value !== undefined) values.set(child, value);
    }
    const here = sql.join(
      Object.keys(was.columns).map((child) => sql`t.${sql.id(child)} is not null`),
      sql` and `,
    );
    const isPlaced = placed(now, was, { m, parent });
    tests.push(...parentTests(of, now, { m, here, parent, isPlaced }));
  }
  return { joins, values, tests };
}

/** Whether what became of the row above matters: its key moved, or its fate is that of its part. */
function isFollowed(of: Rebuilding, key: ForeignKeySpec, parent: Rebuilding): boolean {
  return changesKey(parent) || (key.kind === 'part' && masterOf(of)?.form !== undefined);
}

export function masterOf({ spec, world }: Rebuilding): TableSpec | undefined {
  return world.to.tables.find(({ name }) => name === spec.master);
}

/** The new value of a column of the row above, by its line in the list. */
function parentValue(
  parent: Rebuilding,
  { m, was, column }: { readonly m: Sql; readonly was: ForeignKeySpec; readonly column: string },
): Sql | undefined {
  const place = foundColumns(parent).indexOf(column);
  if (place >= 0) return sql`${m}.${foundColumn(place)}`;
  const index = parent.operation.from.indexOf(was.to);
  const former = parent.pair.columns[index]?.[column];
  const child = Object.entries(was.columns).find(([, target]) => target === former)?.[0];
  return child === undefined ? undefined : sql`t.${sql.id(child)}`;
}

/** That the row above is computed anew under a key that is known already, and that no other row comes to have. */
function placed(
  now: ForeignKeySpec,
  was: ForeignKeySpec,
  { m, parent }: { readonly m: Sql; readonly parent: Rebuilding },
): Sql {
  if (isNarrower(parent)) return sql`false`;
  const key = Object.values(now.columns).map((column) => parentValue(parent, { m, was, column }));
  const known = key.map((value) => (value === undefined ? sql`false` : sql`${value} is not null`));
  const why = sql`split_part(${m}."#why", ':', 1) = any(${Object.values(IN_PLACE)}::text[])`;
  return sql.join([why, ...known], sql` and `);
}

interface Above {
  readonly m: Sql;
  readonly here: Sql;
  readonly parent: Rebuilding;
  readonly isPlaced: Sql;
}

function parentTests(
  of: Rebuilding,
  key: ForeignKeySpec,
  { m, here, parent, isPlaced }: Above,
): readonly Test[] {
  const isMade = of.spec.form !== undefined;
  const isPart = key.kind === 'part' && masterOf(of)?.form !== undefined;
  const about = key.to;
  const lost: Test['becomes'] = isPart || isMade ? 'recompute' : 'ambiguous';
  const moved = changesKey(parent);
  return [
    {
      when: sql`${here} and (${m}."#class" is null or ${m}."#class" = 'ambiguous')`,
      becomes: 'ambiguous',
      why: `row above undecided: ${about}`,
    },
    {
      when: sql`${here} and ${m}."#class" = 'retire'`,
      becomes:
        isPart || isMade || of.world.attribution[of.operation.table] === 'retire' ? 'retire' : 'ambiguous',
      why: `row above retired: ${about}`,
    },
    ...(isPart || moved
      ? [
          {
            when: sql`${here} and ${m}."#class" = 'recompute' ${isPart ? sql`` : sql`and not (${isPlaced})`}`,
            becomes: lost,
            why: `row above computed anew: ${about}`,
          },
        ]
      : []),
  ];
}

/** Foreign keys that are found from recorded reads. */
function recordedWays(of: Rebuilding, { readSubjects, formerKeys }: Facts): Way {
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
      tests.push({ when: sql`true`, becomes: 'ambiguous', why: `nothing recorded: ${key.to}` });
      continue;
    }
    joins.push(sql`left join varve.recorded_read ${r} on ${r}.relation = ${computed} and ${r}.key_hash = c.key_hash
      and ${r}.spec = c.spec and ${readSubjects(target.relation, r)}`);
    joins.push(sql`left join ${tableId(target.relation.placement)} ${p}
      on jsonb_array_length(${r}.keys) = 1 and ${recordedRow(target.relation, formerKeys.get(target.relation.id), { p, r })}`);
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

/** Tables whose recorded reads are joined, with the aliases that these joins have. */
export function joinedReads(of: Rebuilding): ReadonlyMap<string, Sql> {
  if (computedRelation(of, 0) === undefined) return new Map();
  const joined = new Map<string, Sql>();
  for (const [index, { to }] of recordedKeys(of).entries()) {
    if (!joined.has(to) && targetOf(of, to) !== undefined) joined.set(to, sql.raw(`r${String(index)}`));
  }
  return joined;
}

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

/** The one row that was read, by its recorded key: its columns may have been called otherwise then. */
function recordedRow(
  target: Relation,
  former: FormerKeyNames | undefined,
  { p, r }: { readonly p: Sql; readonly r: Sql },
): Sql {
  const same = target.spec.primaryKey.map((column) => {
    const names = (former?.get(column) ?? [column]).map((name) => sql`${r}.keys -> 0 ->> ${name}::text`);
    const value = names.length === 0 ? sql`null` : sql`coalesce(${sql.join(names)})`;
    return sql`${p}.${sql.id(column)} = (${value})::${sql.raw(typeOf(target.spec, column))}`;
  });
  return sql.join(same, sql` and `);
}

function recordedTests(
  of: Rebuilding,
  key: ForeignKeySpec,
  { r, p, target }: { readonly r: Sql; readonly p: Sql; readonly target: Relation },
): readonly Test[] {
  const [first = ''] = target.spec.primaryKey;
  const ruled = Object.keys(key.columns).some(
    (column) => ruleOf(of.world.attribution, of.operation.table, column) !== undefined,
  );
  // A rule names the row where the record does not; whether it does is tested where rules are.
  const unless = (when: Sql): Sql => (ruled ? sql`false and ${when}` : when);
  const several: Test['becomes'] = key.kind === 'secondary' ? 'ambiguous' : 'recompute';
  return [
    {
      when: unless(sql`(c.spec is null or ${r}.keys is null)`),
      becomes: 'ambiguous',
      why: `nothing recorded: ${key.to}`,
    },
    ...(ruled
      ? []
      : [
          {
            when: sql`jsonb_array_length(${r}.keys) > 1`,
            becomes: several,
            why: `several rows read: ${key.to}`,
          },
        ]),
    ...(key.optional
      ? []
      : [
          {
            when: unless(sql`jsonb_array_length(${r}.keys) = 0`),
            becomes: 'ambiguous' as const,
            why: `no row read: ${key.to}`,
          },
        ]),
    {
      when: unless(sql`(jsonb_array_length(${r}.keys) = 1 and ${p}.${sql.id(first)} is null)`),
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

/** Why a row is not given the one row of a table that is new. */
export const SEVERAL = 'several rows to choose from';

/** Foreign keys to a table that is new: the one row there for the columns that the row has already. */
function insertedWays(of: Rebuilding): Way {
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

/** Columns of a lookup, as its rows in the code say them. */
function contentsWay(of: Rebuilding): Way {
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
function ruleWays(of: Rebuilding, found: readonly string[]): Way {
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
function unlessDecided(of: Rebuilding, way: Way): Way {
  if (!isDecided(of)) return way;
  const tests = way.tests.map((test) =>
    test.becomes === 'ambiguous'
      ? { ...test, when: sql`(d."#is" is distinct from 'values' and ${test.when})` }
      : test,
  );
  return { ...way, tests };
}

/** What functions said: `d` holds it for the rows that are as they were when the functions were asked. */
function decisionWay(of: Rebuilding): Way {
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
