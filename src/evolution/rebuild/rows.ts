/**
 * What becomes of each row: one SELECT for a rebuilt table, with a line for every old row.
 *
 * | column | holds |
 * |---|---|
 * | `o0`, `o1`, ... | the old primary key |
 * | `v0`, `v1`, ... | values that were found for it: see `foundColumns` |
 * | `#class` | keep, rekey, backfill, recompute, retire, ambiguous |
 * | `#why` | the fact that decides, as a word and a table or column; empty where nothing stands against keeping |
 * | `#spec`, `#duration`, `#hash` | how it was computed: null where nothing did |
 *
 * Every test that may decide is listed with what it decides, the gravest first; the first one that holds gives class and
 * reason. Nothing is ever invented: a value comes from the old row, from a recorded read, from the row above, or from a
 * rule of the bundle; else the row is ambiguous, or computed anew where a make can.
 */
import {
  keyHash,
  tableId,
  type ForeignKeySpec,
  type Relation,
  type TableSpec,
} from '../../pipeline/index.ts';
import { sql, type Sql } from '../../store/index.ts';
import { computedRelation, type Variant } from './coverage.ts';
import { fillTests } from './fill.ts';
import {
  carriedValue,
  castTo,
  changesKey,
  columnOf,
  copiedValue,
  foundColumn,
  foundColumns,
  isNumeric,
  oldAlias,
  oldKeyColumn,
  ruleOf,
  typeOf,
} from './values.ts';
import { rebuildOf, rebuilding, type Rebuilding } from './world.ts';

/** What is known beside the definitions. */
export interface Facts {
  readonly variants: readonly Variant[];
  /** Whether the server can say if a text is a value of a type. */
  readonly canJudgeText: boolean;
}

/** A fact about rows, and what it makes of them. */
export interface Test {
  readonly when: Sql;
  readonly then: 'ambiguous' | 'recompute' | 'retire';
  readonly why: string;
}

/** The SELECT of the header; `only` keeps to some old rows `t` of the first source. */
export function classifiedRows(of: Rebuilding, facts: Facts, only?: Sql): Sql {
  const found = foundColumns(of);
  const ways = waysOf(of, found);
  const tests = testsOf(of, facts, ways).toSorted((left, right) => rank(left) - rank(right));
  const whens = tests.map(({ when, then, why }) => ({ when, class: resolved(of, then), why }));
  const keys = sql.join(oldKeys(of).map((key, index) => sql`${key} as ${oldKeyColumn(index)}`));
  const values = ways.values.map((value, index) => sql`, ${value} as ${foundColumn(index)}`);
  const pick = (value: (one: (typeof whens)[number]) => string, otherwise: string): Sql =>
    whens.length === 0
      ? sql.raw(text(otherwise))
      : sql`case ${sql.join(
          whens.map((one) => sql`when ${one.when} then ${sql.raw(text(value(one)))}`),
          sql` `,
        )} else ${sql.raw(text(otherwise))} end`;
  const rows = sql`
    select ${keys}${sql.join(values, sql``)}, ${pick((one) => one.class, baseClass(of))} as "#class",
      ${pick(({ why }) => why, '')} as "#why", ${computationColumns(of)}
      ${shared(of) ? sql`, ${sharedKey(of)} as "#new"` : sql``}
    from ${sources(of, only)} ${sql.join(ways.joins, sql` `)}`;
  return shared(of) ? withoutCollisions(of, rows) : rows;
}

const RANK = { ambiguous: 0, retire: 1, recompute: 2 } as const;

function rank({ then }: Test): number {
  return RANK[then];
}

/** A rule of the bundle decides what the record does not. */
function resolved({ operation, world, spec }: Rebuilding, then: Test['then']): string {
  if (then !== 'ambiguous') return then;
  const rule = world.attribution[operation.table];
  if (rule === 'retire') return 'retire';
  if (rule === 'keep') return 'keep';
  return rule === 'recompute' && (spec.form !== undefined || spec.master !== undefined) ? rule : then;
}

/** What a row is that nothing stands against. */
export function baseClass(of: Rebuilding): 'keep' | 'rekey' | 'backfill' {
  const { spec, operation } = of;
  const brought = (column: string): boolean => {
    const source = operation.columns[column];
    return source?.from !== 'same' && source?.from !== 'cast';
  };
  if (spec.primaryKey.some(brought) || isNarrower(of)) return 'rekey';
  const found = foundColumns(of).filter(brought).map((column) => operation.columns[column]?.from);
  if (found.length === 0) return 'keep';
  return found.every((from) => from === 'parent') ? 'rekey' : 'backfill';
}

function isNarrower({ pair, spec, operation }: Rebuilding): boolean {
  const [old] = pair.sources;
  const same = spec.primaryKey.flatMap((column) => {
    const source = operation.columns[column];
    return source?.from === 'same' || source?.from === 'cast' ? [source.column] : [];
  });
  return (old?.primaryKey ?? []).some((column) => !same.includes(column));
}

function text(word: string): string {
  return `'${word.replaceAll("'", "''")}'::text`;
}

/** The old key, of whichever source has the row. */
function oldKeys(of: Rebuilding): readonly Sql[] {
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

function sources(of: Rebuilding, only: Sql | undefined): Sql {
  const [first, ...others] = of.sources.map((relation, index) => sourceRows(of, relation, index, only));
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
    const [c, t] = [computationAlias(index), oldAlias(index)];
    return [sql`left join varve.computation ${c} on ${c}.relation = ${relation} and ${c}.key_hash = ${t}."#h"`];
  });
  return sql.join([first ?? sql``, ...joined, ...computations], sql` `);
}

function sourceRows(of: Rebuilding, relation: Relation, index: number, only: Sql | undefined): Sql {
  const t = oldAlias(index);
  const key = computationKey(of, index);
  const where = only === undefined || index > 0 ? sql`` : sql`where ${only}`;
  if (key === undefined) return sql`(select * from ${tableId(relation.placement)} t ${where}) ${t}`;
  // Hashed once, though it is joined by and told.
  return sql`(select t.*, ${keyHash(sql`t`, key)} as "#h" from ${tableId(relation.placement)} t ${where} offset 0) ${t}`;
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
function masterColumns(part: TableSpec, tables: readonly TableSpec[]): Readonly<Record<string, string>> {
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

function computationColumns(of: Rebuilding): Sql {
  const at = of.sources.findIndex((_, index) => computedRelation(of, index) !== undefined && computationKey(of, index) !== undefined);
  if (at < 0) return sql`null::integer as "#spec", null::integer as "#duration", null::bytea as "#hash"`;
  const c = computationAlias(at);
  return sql`${c}.spec as "#spec", ${c}.duration_us as "#duration", ${oldAlias(at)}."#h" as "#hash"`;
}

interface Ways {
  readonly joins: readonly Sql[];
  /** The found values, in the order of `foundColumns`. */
  readonly values: readonly Sql[];
  readonly tests: readonly Test[];
}

/** How values are found that are not copied: each way joins what it looks at, once. */
function waysOf(of: Rebuilding, found: readonly string[]): Ways {
  const parents = parentWays(of);
  const reads = recordedWays(of);
  const inserted = insertedWays(of);
  const contents = contentsWay(of);
  const rules = ruleWays(of, found);
  const all = new Map([...parents.values, ...reads.values, ...inserted.values, ...contents.values]);
  const values = found.map((column) => {
    const type = sql.raw(typeOf(of.spec, column));
    const rule = rules.values.get(column);
    const source = of.operation.columns[column];
    const value = all.get(column) ?? (source === undefined ? undefined : copiedValue(of, column, source));
    if (rule !== undefined && value !== undefined) return sql`coalesce(${value}, ${rule})`;
    return rule ?? value ?? sql`null::${type}`;
  });
  const ways = [parents, reads, inserted, contents, rules];
  return { joins: ways.flatMap(({ joins }) => joins), values, tests: ways.flatMap(({ tests }) => tests) };
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
    tests.push(...parentTests(of, now, { m, here, parent }));
  }
  return { joins, values, tests };
}

/** Whether what became of the row above matters: its key moved, or its fate is that of its part. */
function isFollowed(of: Rebuilding, key: ForeignKeySpec, parent: Rebuilding): boolean {
  return changesKey(parent) || (key.kind === 'part' && masterOf(of)?.form !== undefined);
}

function masterOf({ spec, world }: Rebuilding): TableSpec | undefined {
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

function parentTests(
  of: Rebuilding,
  key: ForeignKeySpec,
  { m, here, parent }: { readonly m: Sql; readonly here: Sql; readonly parent: Rebuilding },
): readonly Test[] {
  const isMade = of.spec.form !== undefined;
  const isPart = key.kind === 'part' && masterOf(of)?.form !== undefined;
  const about = key.to;
  const lost: Test['then'] = isPart || isMade ? 'recompute' : 'ambiguous';
  const moved = changesKey(parent);
  return [
    { when: sql`${here} and (${m}."#class" is null or ${m}."#class" = 'ambiguous')`, then: 'ambiguous', why: `row above undecided: ${about}` },
    { when: sql`${here} and ${m}."#class" = 'retire'`, then: isPart || isMade || of.world.attribution[of.operation.table] === 'retire' ? 'retire' : 'ambiguous', why: `row above retired: ${about}` },
    ...(isPart || moved
      ? [{ when: sql`${here} and ${m}."#class" = 'recompute'`, then: lost, why: `row above computed anew: ${about}` }]
      : []),
  ];
}

/** Foreign keys that are found from recorded reads. */
function recordedWays(of: Rebuilding): Way {
  const joins: Sql[] = [];
  const values = new Map<string, Sql>();
  const tests: Test[] = [];
  const computed = computedRelation(of, 0);
  for (const [index, key] of recordedKeys(of).entries()) {
    const target = targetOf(of, key.to);
    if (target === undefined) continue;
    const [r, p, q] = ['r', 'p', 'q'].map((letter) => sql.raw(`${letter}${String(index)}`)) as [Sql, Sql, Sql];
    if (computed === undefined) {
      tests.push({ when: sql`true`, then: 'ambiguous', why: `nothing recorded: ${key.to}` });
      continue;
    }
    const names = target.formerNames;
    joins.push(sql`left join varve.recorded_read ${r} on ${r}.relation = ${computed} and ${r}.key_hash = c.key_hash
      and ${r}.spec = c.spec and ${r}.subject = any(${names}::text[])`);
    joins.push(sql`left join ${tableId(target.relation.placement)} ${p}
      on jsonb_array_length(${r}.keys) = 1 and ${recordedRow(target.relation, p, r)}`);
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
      const value = place >= 0 ? sql`${q}.${foundColumn(place)}` : former === undefined ? undefined : sql`${p}.${sql.id(former)}`;
      if (value !== undefined) values.set(child, value);
    }
    tests.push(...recordedTests(of, key, { r, p, target: target.relation }));
    tests.push(...sharedTests(of, key, { p, columns: target.columns }));
  }
  return { joins, values, tests };
}

function recordedKeys({ spec, operation }: Rebuilding): readonly ForeignKeySpec[] {
  return spec.foreignKeys.filter(({ name, columns }) =>
    Object.keys(columns).some((column) => {
      const source = operation.columns[column];
      return source?.from === 'recorded' && source.reference === name;
    }),
  );
}

interface Target {
  readonly relation: Relation;
  readonly formerNames: readonly string[];
  /** New column to the one in the standing structure. */
  readonly columns: Readonly<Record<string, string>>;
  readonly rebuild: Rebuilding | undefined;
}

/** Where the rows stand that were read: the structure of now, whatever becomes of it. */
function targetOf({ world }: Rebuilding, table: string): Target | undefined {
  const pair = world.naming.pairs.get(table);
  const [old] = pair?.sources ?? [];
  const relation = old === undefined ? undefined : world.old.get(old.name);
  if (pair === undefined || relation === undefined) return undefined;
  const operation = rebuildOf(world, table);
  return {
    relation,
    formerNames: [relation.name],
    columns: pair.columns[0] ?? {},
    rebuild: operation === undefined ? undefined : rebuilding(operation, world),
  };
}

/** The one row that was read, by its recorded key. */
function recordedRow(target: Relation, p: Sql, r: Sql): Sql {
  const same = target.spec.primaryKey.map(
    (column) =>
      sql`${p}.${sql.id(column)} = (${r}.keys -> 0 ->> ${column}::text)::${sql.raw(typeOf(target.spec, column))}`,
  );
  return sql.join(same, sql` and `);
}

function recordedTests(
  of: Rebuilding,
  key: ForeignKeySpec,
  { r, p, target }: { readonly r: Sql; readonly p: Sql; readonly target: Relation },
): readonly Test[] {
  const [first = ''] = target.spec.primaryKey;
  const ruled = Object.keys(key.columns).some((column) => ruleOf(of.world.attribution, of.operation.table, column) !== undefined);
  // A rule names the row where the record does not; whether it does is tested where rules are.
  const unless = (when: Sql): Sql => (ruled ? sql`false and ${when}` : when);
  const several: Test['then'] = key.kind === 'secondary' ? 'ambiguous' : 'recompute';
  return [
    { when: unless(sql`(c.spec is null or ${r}.keys is null)`), then: 'ambiguous', why: `nothing recorded: ${key.to}` },
    ...(ruled ? [] : [{ when: sql`jsonb_array_length(${r}.keys) > 1`, then: several, why: `several rows read: ${key.to}` }]),
    ...(key.optional
      ? []
      : [{ when: unless(sql`jsonb_array_length(${r}.keys) = 0`), then: 'ambiguous' as const, why: `no row read: ${key.to}` }]),
    { when: unless(sql`(jsonb_array_length(${r}.keys) = 1 and ${p}.${sql.id(first)} is null)`), then: 'ambiguous', why: `the row that was read is gone: ${key.to}` },
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
    return own === undefined || former === undefined ? [] : [sql`${own} is distinct from ${p}.${sql.id(former)}`];
  });
  if (differing.length === 0) return [];
  const [first] = Object.values(columns);
  return [
    {
      when: sql`(${p}.${sql.id(first ?? '')} is not null and (${sql.join(differing, sql` or `)}))`,
      then: of.spec.form === undefined ? 'ambiguous' : 'recompute',
      why: `another row read than its key leads to: ${key.to}`,
    },
  ];
}

/** Foreign keys to a table that is new: the one row there for the columns that the row has already. */
function insertedWays(of: Rebuilding): Way {
  const joins: Sql[] = [];
  const values = new Map<string, Sql>();
  const tests: Test[] = [];
  for (const [index, key] of insertedKeys(of).entries()) {
    const target = of.world.next.get(key.to);
    // While planning the table is not there yet: that it gives one row each is held when it is.
    if (target === undefined) continue;
    const i = sql.raw(`i${String(index)}`);
    const same = Object.entries(key.columns).flatMap(([child, column]) => {
      const source = of.operation.columns[child];
      const own = source === undefined ? undefined : copiedValue(of, child, source);
      return own === undefined ? [] : [sql`x.${sql.id(column)} = ${own}`];
    });
    joins.push(sql`left join lateral (select y.* from (select x.*, count(*) over () as "#n" from ${tableId(target.placement)} x
      where ${sql.join([...same, sql`true`], sql` and `)}) y limit 1) ${i} on true`);
    let ruled = false;
    for (const [child, column] of Object.entries(key.columns)) {
      if (of.operation.columns[child]?.from !== 'inserted') continue;
      if (ruleOf(of.world.attribution, of.operation.table, child) !== undefined) ruled = true;
      values.set(child, sql`case when ${i}."#n" = 1 then ${i}.${sql.id(column)} end`);
    }
    if (ruled) continue;
    tests.push({ when: sql`coalesce(${i}."#n", 0) > 1`, then: 'ambiguous', why: `several rows to choose from: ${key.to}` });
    if (!key.optional) tests.push({ when: sql`${i}."#n" is null`, then: 'ambiguous', why: `no row to belong to: ${key.to}` });
  }
  return { joins, values, tests };
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
    joins: [sql`left join lateral (select k.* from ${rows} where ${sql.join([...same, sql`true`], sql` and `)} limit 1) k on true`],
    values: new Map(columns.map(({ name }) => [name, sql`k.${sql.id(name)}`])),
    tests: [],
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
    // The expression was parsed as one expression when the bundle was written; it sees the old row and nothing else.
    joins.push(sql`left join lateral (select (${sql.raw(rule)})::${sql.raw(typeOf(spec, column))} as value
      from (select ${sql.join([...(of.pair.sources[0]?.columns ?? []).map(({ name }) => sql`t.${sql.id(name)}`)])}) old) ${x} on true`);
    values.set(column, sql`${x}.value`);
  }
  return { joins, values, tests: [] };
}

/** Everything that may decide over a row. */
function testsOf(of: Rebuilding, facts: Facts, ways: Ways): readonly Test[] {
  return [
    ...ways.tests,
    ...partnerTests(of),
    ...fillTests(of, recordedKeys(of), sql`t`, (child) => {
      const place = foundColumns(of).indexOf(child);
      return place < 0 ? undefined : ways.values[place];
    }),
    ...emptyTests(of, ways),
    ...castTests(of, facts),
    ...repointTests(of),
    ...tierTests(of),
    ...madeTests(of),
    ...coverageTests(of, facts),
  ];
}

/** In a merge, a row without its partner. */
function partnerTests({ operation, pair }: Rebuilding): readonly Test[] {
  if (operation.from.length < 2) return [];
  return pair.sources.flatMap((source, index): readonly Test[] => {
    const [first] = source.primaryKey;
    return [
      { when: sql`${oldAlias(index)}.${sql.id(first ?? '')} is null`, then: 'ambiguous', why: `no partner: ${source.name}` },
    ];
  });
}

/** Columns that may not be empty and would be. */
function emptyTests(of: Rebuilding, { values }: Ways): readonly Test[] {
  const { spec, operation, world } = of;
  const found = foundColumns(of);
  const otherwise: Test['then'] = spec.form === undefined ? 'ambiguous' : 'recompute';
  return spec.columns.flatMap((column): readonly Test[] => {
    if (column.nullable) return [];
    const source = operation.columns[column.name];
    const place = found.indexOf(column.name);
    const subject = `${spec.name}.${column.name}`;
    if (place >= 0) {
      const value = values[place];
      const isOwn = ruleOf(world.attribution, operation.table, column.name) !== undefined || source?.from === 'contents';
      if (!isOwn || value === undefined) return [];
      return [{ when: sql`${value} is null`, then: 'ambiguous', why: `no value: ${subject}` }];
    }
    if (source?.from !== 'same' && source?.from !== 'cast') return [];
    const was = columnOf(of.pair.sources[source.source] ?? spec, source.column);
    const value = copiedValue(of, column.name, source);
    if (was?.nullable !== true || value === undefined) return [];
    return [{ when: sql`${value} is null`, then: otherwise, why: `empty: ${subject}` }];
  });
}

/** Values that another type cannot hold as they are. */
function castTests(of: Rebuilding, { canJudgeText }: Facts): readonly Test[] {
  const { spec, operation } = of;
  return spec.columns.flatMap(({ name, type }): readonly Test[] => {
    const source = operation.columns[name];
    if (source?.from !== 'cast') return [];
    const old = sql`${oldAlias(source.source)}.${sql.id(source.column)}`;
    const back = castTo(castTo(old, source.was, type), type, source.was);
    const fits =
      canJudgeText && !(isNumeric(source.was) && isNumeric(type))
        ? sql`case when pg_input_is_valid(${old}::text, ${type}::text) then ${back} is not distinct from ${old} else false end`
        : sql`${back} is not distinct from ${old}`;
    return [
      {
        when: sql`(${old} is not null and not (${fits}))`,
        then: spec.form === undefined ? 'ambiguous' : 'recompute',
        why: `not a value of the new type: ${spec.name}.${name}`,
      },
    ];
  });
}

/** Foreign keys over columns that are there already, to a table that they did not lead to. */
function repointTests(of: Rebuilding): readonly Test[] {
  const { spec, pair, operation } = of;
  return spec.foreignKeys.flatMap((key): readonly Test[] => {
    const goesOn = pair.keys.some((matched) => matched[key.name] !== undefined);
    const copied = Object.keys(key.columns).map((child) => {
      const source = operation.columns[child];
      return source === undefined ? undefined : copiedValue(of, child, source);
    });
    if (goesOn || key.kind === 'part' || copied.some((value) => value === undefined)) return [];
    const rows = newRows(of, key.to);
    if (rows === undefined) return [];
    const same = Object.values(key.columns).map((column, index) => sql`x.${sql.id(column)} = ${copied[index] ?? sql`null`}`);
    const here = copied.map((value) => sql`${value ?? sql`null`} is not null`);
    return [
      {
        when: sql`(${sql.join(here, sql` and `)} and not exists (select from ${rows} x where ${sql.join(same, sql` and `)}))`,
        then: spec.form === undefined ? 'ambiguous' : 'recompute',
        why: `no such row: ${key.to}`,
      },
    ];
  });
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

/** What people wrote is computed, and compared with what they wrote. */
function tierTests({ operation, spec, world }: Rebuilding): readonly Test[] {
  const isMade = operation.changes.some((change) => change.kind === 'change_tier') && spec.form !== undefined;
  if (!isMade || world.attribution[operation.table] === 'keep') return [];
  return [{ when: sql`true`, then: 'recompute', why: `tier: ${spec.name}` }];
}

/** Columns that only the make knows, of the table or of a part of it. */
function madeTests(of: Rebuilding): readonly Test[] {
  const { spec, operation, world } = of;
  const own = made(of);
  const parts = Object.values(spec.parts).flatMap((name) => {
    const part = rebuildOf(world, name);
    if (part === undefined) return [];
    if (part.from.length === 0) return [{ column: name, isOpen: false }];
    return made(rebuilding(part, world)).map(({ column, isOpen }) => ({ column: `${name}.${column}`, isOpen }));
  });
  if (spec.master !== undefined && masterOf(of)?.form !== undefined) return [];
  if (spec.form === undefined) {
    return own
      .filter(({ isOpen }) => !isOpen)
      .map(({ column }) => ({ when: sql`true`, then: 'ambiguous', why: `no value: ${spec.name}.${column}` }));
  }
  const code = world.codeByTable.get(operation.table)?.digest ?? '';
  return [...own, ...parts].map(({ column, isOpen }) => ({
    // The same code gives no value to a column that came after it: then the default is what it would give.
    when: isOpen
      ? sql`(select d.digest from varve.computation_spec s join varve.code d on d.id = s.code where s.id = c.spec) is distinct from ${code}`
      : sql`true`,
    then: 'recompute',
    why: `only the make knows: ${column.includes('.') ? column : `${spec.name}.${column}`}`,
  }));
}

function made({ spec, operation, world }: Rebuilding): readonly { readonly column: string; readonly isOpen: boolean }[] {
  return spec.columns
    .filter(({ name }) => operation.columns[name]?.from === 'make' && ruleOf(world.attribution, spec.name, name) === undefined)
    .map(({ name, nullable, default: value }) => ({ column: name, isOpen: nullable || value !== undefined }));
}

/** Reads of the new definition of which nothing is recorded. */
function coverageTests(of: Rebuilding, { variants }: Facts): readonly Test[] {
  if (of.spec.form === undefined) return [];
  return of.spec.reads.flatMap((read, index): readonly Test[] => {
    const known = variants.filter(({ coverage }) => coverage[index] !== 'unknown');
    const specs = known.filter(({ source }) => source === 0).flatMap((variant) => variant.specs);
    const others = known.filter(({ source }) => source > 0).flatMap((variant) => variant.specs);
    const covered = [
      sql`c.spec = any(${specs}::integer[])`,
      ...(others.length === 0 ? [] : [sql`c1.spec = any(${others}::integer[])`]),
    ];
    return [
      {
        // Rows that nothing computed are not judged by what a make read.
        when: sql`(c.spec is not null and not (${sql.join(covered, sql` or `)}))`,
        then: 'recompute',
        why: `read anew: ${read.table}`,
      },
    ];
  });
}

/** Whether two old rows may meet on one new key. */
function shared(of: Rebuilding): boolean {
  return of.operation.from.length > 0 && isNarrower(of);
}

function sharedKey(of: Rebuilding): Sql {
  const values = of.spec.primaryKey.map((column) => {
    const source = of.operation.columns[column];
    const value = source === undefined ? undefined : copiedValue(of, column, source);
    return value ?? sql`null`;
  });
  return sql`row(${sql.join(values)})::text`;
}

/** Two rows on one key: which of them it is, nobody knows. */
function withoutCollisions(of: Rebuilding, rows: Sql): Sql {
  const found = foundColumns(of)
    .map((column, index) => ({ column, index }))
    .filter(({ column }) => of.spec.primaryKey.includes(column))
    .map(({ index }) => sql`, y.${foundColumn(index)}`);
  const alone = sql`y."#class" in ('ambiguous', 'retire', 'recompute') or count(*) filter (where y."#class" not in ('ambiguous', 'retire', 'recompute'))
    over (partition by y."#new"${sql.join(found, sql``)}) = 1`;
  const columns = [
    ...oldKeys(of).map((_, index) => oldKeyColumn(index)),
    ...foundColumns(of).map((_, index) => foundColumn(index)),
  ].map((column) => sql`y.${column}`);
  const collided = resolved(of, 'ambiguous');
  return sql`select ${sql.join(columns)},
      case when ${alone} then y."#class" else ${sql.raw(text(collided))} end as "#class",
      case when ${alone} then y."#why" else ${sql.raw(text(`another row on its key: ${of.spec.name}`))} end as "#why",
      y."#spec", y."#duration", y."#hash"
    from (${rows}) y`;
}
