/**
 * A walk as one statement.
 *
 * Each table of the walk has a CTE `r<i>` with its affected rows, reduced to the columns that later steps match on, and
 * `n<i>` with their number. Both are made once, whatever the number of paths, so the cost follows edges and rows.
 *
 * | table reached by | affected rows |
 * |---|---|
 * | the start | `where (condition)` |
 * | one edge | a semi-join with the source's rows: no row comes twice, so nothing has to be made distinct |
 * | several edges | one scan with a left join per edge; for few rows a union by row identity |
 * | a circle of edges | a recursive CTE of row identities, to the fixpoint |
 *
 * Few and many. The planner cannot see how many rows a CTE will have: it assumes that half of the next table matches,
 * so a walk from a single row would read every table below; or that there are 200 keys, so a walk from half of the rows
 * would look up each. Each step therefore has two arms, of which the number that was counted opens one: `few` looks
 * rows up by index, `many` joins whole sets. The other arm is never started. The statement is planned with nested loops
 * off: `few` is written so that it can be nothing else, and `many` must not become one by a wrong estimate.
 *
 * It is planned with hashed aggregates off as well. The planner takes the keys of a CTE for 200 different ones, and would
 * make them distinct by hashing before each semi-join; without, it hashes the rows once, for the semi-join itself. Where
 * keys must be distinct they are sorted, which costs little where they come in order. Ten stacked diamonds, half of the
 * rows affected: 12 % less processor time downwards, 19 % upwards (medians of five).
 *
 * Measured on 100,000 rows, half of them affected: hash join 24 ms, hashed subplan 32, merge join 27, union by identity
 * 50 for two edges against 37 for one scan with two left joins; look-ups that the planner chose by mistake 90.
 *
 * Row identity is `(tableoid, ctid)`: stable within the statement's snapshot, there without any key, and comparable for
 * every type of column.
 */
import { VarveError } from '../base/index.ts';
import { sql, type Sql } from '../store/index.ts';
import type { GraphEdge, GraphTable } from './graph.ts';
import { isCircle, type Arc, type Walk } from './walk.ts';

/** A part row that would go while its master stays: to be counted with the walk. */
export interface PartCheck {
  readonly edge: GraphEdge;
}

/** A walk's statement, and how to read the one row it returns. */
export interface WalkStatement {
  /** Returns `{ counts, hits, strays, s0, s1 ... }`. */
  readonly statement: Sql;
  /** The tables of `counts`, in order. */
  readonly tables: readonly string[];
  /** The arcs of `hits`: how many rows came by each. An arc that is alone at its table is not listed. */
  readonly hits: readonly Arc[];
  /** The checks of `strays`; `s<i>` lists keys of the first ten of check i. */
  readonly checks: readonly PartCheck[];
}

/** Builds the statement of a walk. */
export function walkStatement(walk: Walk, checks: readonly PartCheck[] = []): WalkStatement {
  const layout = createLayout(walk, checks);
  const ctes = walk.components.flatMap((component, at) =>
    isCircle(walk, component) ? circleCtes(layout, component, at) : tableCtes(layout, component[0] ?? ''),
  );
  const hits = walk.components.flatMap((component) => countedArcs(layout, component));
  const tables = walk.components.flat();
  const counts = tables.map((table) => countOf(layout, table));
  const hitCounts = hits.map(
    (arc) => sql`(select ${hitName(layout, arc)} from ${nameOf(layout, 'n', arc.target)})`,
  );
  const strays = checks.map((_, at) => sql`(select count(*) from ${sql.raw(`varve_v${at}`)})`);
  const samples = checks.map((check, at) => sql`, ${sampleOf(layout, check, at)} as ${sql.raw(`s${at}`)}`);
  const statement = sql`with recursive ${sql.join([...ctes, ...checks.map((check, at) => strayCte(layout, check, at))], sql`, `)}
select ${arrayOf(counts)} as counts, ${arrayOf(hitCounts)} as hits, ${arrayOf(strays)} as strays${sql.join(samples, sql``)}`;
  return { statement, tables, hits, checks };
}

/**
 * The rows of one table that a walk reaches, as a condition on that table.
 *
 * Shape: `("lab"."scan".tableoid, "lab"."scan".ctid) in (with recursive ... select varve_part, varve_row from varve_r3)`
 * Invariant: the walk has no circle, and one of its seeds or arcs leads to the table.
 */
export function reachedCondition(walk: Walk, table: string): Sql {
  const layout = createLayout(walk, [], table);
  const ctes = walk.components.flatMap((component) => tableCtes(layout, component[0] ?? ''));
  const of = relation(layout, table);
  return sql`(${of}.tableoid, ${of}.ctid) in (
    with recursive ${sql.join(ctes)} select varve_part, varve_row from ${nameOf(layout, 'r', table)})`;
}

function arrayOf(items: readonly Sql[]): Sql {
  return sql`array[${sql.join(items)}]::int8[]`;
}

/** What every step needs to know of the others. */
interface Layout {
  readonly walk: Walk;
  readonly indexByTable: ReadonlyMap<string, number>;
  readonly arcsByTarget: ReadonlyMap<string, readonly Arc[]>;
  /** The columns that later steps match on, by table; their place is their name `k<i>` in `r<i>`. */
  readonly keysByTable: ReadonlyMap<string, readonly string[]>;
  /** Tables whose `r<i>` later steps read. */
  readonly sources: ReadonlySet<string>;
  /** Tables whose `r<i>` needs the partition of each row. */
  readonly partitioned: ReadonlySet<string>;
  /** The table whose `r<i>` needs the identity of each row. */
  readonly identified: string | undefined;
}

function createLayout(walk: Walk, checks: readonly PartCheck[], identified?: string): Layout {
  const keysByTable = new Map(walk.components.flat().map((table) => [table, new Set<string>()]));
  const keep = (table: string, columns: readonly string[]): void =>
    columns.forEach((column) => keysByTable.get(table)?.add(column));
  for (const { edge, source, toParent } of walk.arcs) {
    keep(source, toParent ? Object.keys(edge.columns) : Object.values(edge.columns));
  }
  for (const { edge } of checks) {
    keep(edge.from, [...Object.keys(edge.columns), ...tableOf(walk, edge.from).primaryKey]);
    keep(edge.to, Object.values(edge.columns));
  }
  const partitioned = walk.arcs.filter((arc) => partitionOf(arc, 'source') !== undefined);
  return {
    walk,
    indexByTable: new Map(walk.components.flat().map((table, at) => [table, at])),
    arcsByTarget: Map.groupBy(walk.arcs, ({ target }) => target),
    keysByTable: new Map([...keysByTable].map(([table, columns]) => [table, [...columns]])),
    sources: new Set([
      ...walk.arcs.map(({ source }) => source),
      ...checks.flatMap(({ edge }) => [edge.from, edge.to]),
      ...(identified === undefined ? [] : [identified]),
    ]),
    partitioned: new Set([
      ...partitioned.map(({ source }) => source),
      ...(identified === undefined ? [] : [identified]),
    ]),
    identified,
  };
}

// ---- names

function tableOf(walk: Walk, table: string): GraphTable {
  const found = walk.graph.tables.get(table);
  if (found !== undefined) return found;
  throw new VarveError('internal', {
    detail: { table },
    hint: 'Report this: a walk names a table that its graph does not have.',
  });
}

function relation(layout: Layout, table: string): Sql {
  const { schema, name } = tableOf(layout.walk, table);
  return sql.id(schema, name);
}

function nameOf(layout: Layout, letter: 'r' | 'n', table: string): Sql {
  return sql.raw(`varve_${letter}${layout.indexByTable.get(table)}`);
}

/** Prefixed, so that a column of the user's table in a condition is never taken for it. */
function keyName(layout: Layout, table: string, column: string): Sql {
  return sql.raw(`varve_k${layout.keysByTable.get(table)?.indexOf(column)}`);
}

function hitName(layout: Layout, arc: Arc): Sql {
  return sql.raw(`varve_h${layout.arcsByTarget.get(arc.target)?.indexOf(arc)}`);
}

function countOf(layout: Layout, table: string): Sql {
  return sql`(select n from ${nameOf(layout, 'n', table)})`;
}

/** The kept columns of a table, from its own relation or from a subquery that has named them already. */
function keyList(layout: Layout, table: string, of: Sql = relation(layout, table)): readonly Sql[] {
  const keys = layout.keysByTable.get(table) ?? [];
  const named = keys.map((column) => sql`${of}.${sql.id(column)} as ${keyName(layout, table, column)}`);
  const row = layout.identified === table ? [sql`${of}.ctid as varve_row`] : [];
  return layout.partitioned.has(table) ? [...named, sql`${of}.tableoid as varve_part`, ...row] : named;
}

// ---- conditions

/** Target row matches source row, by the edge's column map. */
function match(layout: Layout, { edge, source, toParent }: Arc, target: Sql, alias: Sql): readonly Sql[] {
  return Object.entries(edge.columns).map(([child, parent]) => {
    const known = sql`${alias}.${keyName(layout, source, toParent ? child : parent)}`;
    const sought = sql`${target}.${sql.id(toParent ? parent : child)}`;
    const operator = equality(edge, child);
    return toParent ? sql`${sought} ${operator} ${known}` : sql`${known} ${operator} ${sought}`;
  });
}

/** The foreign key's own operator, parent on its left. Without its schema, citext would be compared as text. */
function equality(edge: GraphEdge, child: string): Sql {
  const schema = edge.operatorSchemas?.[child];
  return schema === undefined ? sql`=` : sql`operator(${sql.id(schema)}.=)`;
}

function partitionOf({ edge, toParent }: Arc, end: 'source' | 'target'): string | undefined {
  return (end === 'source') === toParent ? edge.fromPartition : edge.toPartition;
}

/** A row is in the partition that the constraint stands on, or in a partition of it. */
function inPartition(partition: string | undefined, oid: Sql): readonly Sql[] {
  if (partition === undefined) return [];
  return [sql`${oid} in (select relid from pg_catalog.pg_partition_tree(${partition}::regclass))`];
}

function allOf(conditions: readonly Sql[]): Sql {
  return conditions.length === 0 ? sql`true` : sql.join(conditions, sql` and `);
}

function seedCondition({ condition }: { readonly condition?: Sql }): Sql {
  return condition === undefined ? sql`true` : sql`(${condition})`;
}

/** Rows of the arc's target that the arc reaches, as a SELECT of this list; each row once. */
function reach(layout: Layout, arc: Arc, list: readonly Sql[], also: readonly Sql[], arm: Arm): Sql {
  const target = relation(layout, arc.target);
  const found = inPartition(partitionOf(arc, 'target'), sql`${target}.tableoid`);
  if (isWhole(arc)) {
    const some = sql`${countOf(layout, arc.source)} > 0`;
    return sql`select ${sql.join(list)} from ${target} where ${allOf([...arm.gates, some, ...found, ...also])}`;
  }
  const pairs = match(layout, arc, target, sql`varve_s`);
  if (arm.limit !== undefined) {
    // OFFSET 0 keeps the look-up from being planned as a join.
    return sql`select varve_t.* from (${sourceRows(layout, arc, arm.limit)}) varve_s cross join lateral (select ${sql.join(list)} from ${target} where ${allOf([...pairs, ...found, ...also])} offset 0) varve_t where ${allOf(arm.gates)}`;
  }
  // A plain join gives the same rows where the source's keys are unique, but the planner does not know that they are:
  // written so, a walk over 20 diamonds with half of the rows affected did not end within ten minutes.
  return sql`select ${sql.join(list)} from ${target} where ${allOf([...arm.gates, semiJoin(layout, arc), ...also])}`;
}

/** One of the two ways of a step: open when its gates hold; with a limit it is the one of few. */
interface Arm {
  readonly gates: readonly Sql[];
  readonly limit?: number;
}

/** The source's keys, each once; `distinct` also tells the planner so. */
function sourceRows(layout: Layout, arc: Arc, limit?: number): Sql {
  const keys = sql.join(sourceKeys(layout, arc));
  const all = nameOf(layout, 'r', arc.source);
  const rows =
    limit === undefined ? all : sql`(select * from ${all} limit ${sql.raw(String(limit))}) varve_l`;
  const isDistinct = limit !== undefined && isUnique(arc);
  return sql`select ${isDistinct ? sql`` : sql`distinct `}${keys} from ${rows} where ${allOf(
    inPartition(partitionOf(arc, 'source'), sql`varve_part`),
  )}`;
}

function sourceKeys(layout: Layout, { edge, source, toParent }: Arc): readonly Sql[] {
  const columns = new Set(toParent ? Object.keys(edge.columns) : Object.values(edge.columns));
  return [...columns].map((column) => keyName(layout, source, column));
}

/** A foreign key's parent columns are unique; whatever else rows are matched by may repeat. */
function isUnique({ toParent, edge }: Arc): boolean {
  return !toParent && isForeignKey(edge);
}

/** A row of the target has a source row by this arc. */
function semiJoin(layout: Layout, arc: Arc): Sql {
  if (isWhole(arc)) return sql`${countOf(layout, arc.source)} > 0`;
  const target = relation(layout, arc.target);
  return allOf([
    ...inPartition(partitionOf(arc, 'target'), sql`${target}.tableoid`),
    sql`exists (select from ${nameOf(layout, 'r', arc.source)} varve_s where ${allOf([
      ...match(layout, arc, target, sql`varve_s`),
      ...inPartition(partitionOf(arc, 'source'), sql`varve_s.varve_part`),
    ])})`,
  ]);
}

function isWhole({ edge }: Arc): boolean {
  return Object.keys(edge.columns).length === 0;
}

// ---- a table that is no circle

type Source = { readonly arc: Arc } | { readonly seed: Sql };

function sourcesOf(layout: Layout, table: string, arcs: readonly Arc[]): readonly Source[] {
  const seeds = layout.walk.seeds.filter((seed) => seed.table === table);
  return [...arcs.map((arc) => ({ arc })), ...seeds.map((seed) => ({ seed: seedCondition(seed) }))];
}

function tableCtes(layout: Layout, table: string): readonly Sql[] {
  const arcs = layout.arcsByTarget.get(table) ?? [];
  const sources = sourcesOf(layout, table, arcs);
  const together = layout.walk.converge === 'all' || sources.length === 1;
  const rows = together ? jointRows(layout, table, sources) : anyRows(layout, table, sources);
  const counted = together ? [] : arcs;
  const hits = counted.map(
    (arc) => sql`, count(*) filter (where ${hitName(layout, arc)}) as ${hitName(layout, arc)}`,
  );
  const rowsName = nameOf(layout, 'r', table);
  const keep = layout.sources.has(table) ? sql`materialized` : sql`not materialized`;
  return [
    sql`${rowsName} as ${keep} (${rows})`,
    sql`${nameOf(layout, 'n', table)} as materialized (select count(*) as n${sql.join(hits, sql``)} from ${rowsName})`,
  ];
}

/** Rows that fulfil all of their sources; with one source, the rows it reaches. */
function jointRows(layout: Layout, table: string, sources: readonly Source[]): Sql {
  const list = keyList(layout, table);
  const seeds = sources.flatMap((source) => ('seed' in source ? [source.seed] : []));
  const [first, ...others] = sources.flatMap((source) => ('arc' in source ? [source.arc] : []));
  if (first === undefined) return selectSeeds(layout, table, list, seeds);
  const also = [...seeds, ...others.map((arc) => semiJoin(layout, arc))];
  const selects = arms(layout, table, [first]).map((arm) => reach(layout, first, list, also, arm));
  return sql.join(selects, sql` union all `);
}

function selectSeeds(layout: Layout, table: string, list: readonly Sql[], seeds: readonly Sql[]): Sql {
  return sql`select ${sql.join(list)} from ${relation(layout, table)} where ${allOf(seeds)}`;
}

/** The arms of a step: of few and of many rows, or the latter alone where nothing can be looked up or won by it. */
function arms(layout: Layout, table: string, arcs: readonly Arc[]): readonly Arm[] {
  const limit = fewLimit(tableOf(layout.walk, table));
  if (limit === 0 || arcs.length === 0 || !arcs.every(isLookedUp)) return [{ gates: [] }];
  const counted = [...new Set(arcs.map(({ source }) => source))];
  const few = counted.map((source) => sql`${countOf(layout, source)} <= ${sql.raw(String(limit))}`);
  return [{ gates: few, limit }, { gates: [sql`not (${allOf(few)})`] }];
}

/** Whether an index finds the target's rows: a parent always has one. */
function isLookedUp(arc: Arc): boolean {
  return !isWhole(arc) && ((arc.toParent && isForeignKey(arc.edge)) || arc.edge.indexed === true);
}

function isForeignKey({ kind }: GraphEdge): boolean {
  return kind !== 'read' && kind !== 'model';
}

const SMALL_TABLE_ROWS = 2_000;
const UNKNOWN_TABLE_LIMIT = 200;

/**
 * How many source rows are few: about as many look-ups by index as the planner holds for cheaper than one scan of the
 * table, at its own prices (a page 1, a row 0.01, a look-up near 10). 0 where the table is so small that one arm will do.
 */
function fewLimit({ rowEstimate, pageEstimate }: GraphTable): number {
  if (rowEstimate === undefined || pageEstimate === undefined) return UNKNOWN_TABLE_LIMIT;
  if (rowEstimate < SMALL_TABLE_ROWS) return 0;
  return Math.min(100_000, Math.floor((pageEstimate + rowEstimate * 0.01) / 10)) + 1;
}

/** Rows that fulfil any of several sources, each once, with a mark for each arc they came by. */
function anyRows(layout: Layout, table: string, sources: readonly Source[]): Sql {
  const arcs = sources.flatMap((source) => ('arc' in source ? [source.arc] : []));
  const selects = arms(layout, table, arcs).map((arm) =>
    arm.limit === undefined ? scanOnce(layout, table, sources, arm) : unionByRow(layout, table, sources, arm),
  );
  return sql.join(selects, sql` union all `);
}

function hitColumn(at: number): Sql {
  return sql.raw(`varve_h${at}`);
}

function unionByRow(layout: Layout, table: string, sources: readonly Source[], arm: Arm): Sql {
  const of = relation(layout, table);
  const selects = sources.map((source, at) => {
    const hits = sources.map((_, other) => sql`${sql.raw(String(other === at))} as ${hitColumn(other)}`);
    const list = [
      sql`${of}.tableoid as varve_o`,
      sql`${of}.ctid as varve_i`,
      ...keyList(layout, table),
      ...hits,
    ];
    return 'arc' in source
      ? reach(layout, source.arc, list, [], arm)
      : selectSeeds(layout, table, list, [...arm.gates, source.seed]);
  });
  const keys = keyNames(layout, table);
  const anyHits = sources.map((_, at) => sql`bool_or(${hitColumn(at)}) as ${hitColumn(at)}`);
  return sql`(select ${sql.join([...keys, ...anyHits])} from (${sql.join(selects, sql` union all `)}) varve_u group by ${sql.join([sql`varve_o`, sql`varve_i`, ...keys])})`;
}

function keyNames(layout: Layout, table: string): readonly Sql[] {
  const names = (layout.keysByTable.get(table) ?? []).map((column) => keyName(layout, table, column));
  return layout.partitioned.has(table) ? [...names, sql`varve_part`] : names;
}

function scanOnce(layout: Layout, table: string, sources: readonly Source[], { gates }: Arm): Sql {
  const of = relation(layout, table);
  const joins = sources.map((source, at) => hitJoin(layout, table, source, at));
  const hits = joins.map(({ hit }, at) => sql`${hit} as ${hitColumn(at)}`);
  const anyHit = sql.join(
    joins.map(({ hit }) => hit),
    sql` or `,
  );
  return sql`select ${sql.join([...keyList(layout, table), ...hits])} from ${of}${sql.join(
    joins.map(({ join }) => join),
    sql``,
  )} where ${allOf([...gates, sql`(${anyHit})`])}`;
}

/** A left join that marks the rows of one source; it never multiplies a row, for its right side is distinct. */
function hitJoin(
  layout: Layout,
  table: string,
  source: Source,
  at: number,
): { readonly join: Sql; readonly hit: Sql } {
  const of = relation(layout, table);
  const alias = sql.raw(`varve_j${at}`);
  const hit = sql`(${alias}.varve_hit is not null)`;
  if ('seed' in source) {
    const rows = sql`select ${of}.tableoid as varve_o, ${of}.ctid as varve_i, true as varve_hit from ${of} where ${source.seed}`;
    return {
      hit,
      join: sql` left join (${rows}) ${alias} on ${of}.tableoid = ${alias}.varve_o and ${of}.ctid = ${alias}.varve_i`,
    };
  }
  const { arc } = source;
  if (isWhole(arc)) return { hit: sql`(${countOf(layout, arc.source)} > 0)`, join: sql`` };
  const rows = sql`select varve_d.*, true as varve_hit from (${sourceRows(layout, arc)}) varve_d`;
  const on = [
    ...match(layout, arc, of, alias),
    ...inPartition(partitionOf(arc, 'target'), sql`${of}.tableoid`),
  ];
  return { hit, join: sql` left join (${rows}) ${alias} on ${allOf(on)}` };
}

// ---- a circle

/**
 * `c<i>` holds `(tab, via, o, t)`: table, arc it came by (-1 from the start), row identity. `union` drops what is known,
 * so the recursion ends when nothing new is found. Where every look-up has an index, a step looks up; else the pairs of
 * all rows of the circle are joined once, so that no step scans a table per row.
 */
function circleCtes(layout: Layout, component: readonly string[], at: number): readonly Sql[] {
  const inside = layout.walk.arcs.filter(
    ({ source, target }) => component.includes(source) && component.includes(target),
  );
  const name = sql.raw(`varve_c${at}`);
  const seeds = component.flatMap((table) => circleSeeds(layout, table, inside));
  const byLookUp = inside.every(isLookedUp);
  const pairs = sql.raw(`varve_p${at}`);
  const step = byLookUp
    ? sql`select x.* from ${name} r cross join lateral (${sql.join(
        inside.map((arc) => lookUp(layout, arc)),
        sql` union all `,
      )}) x`
    : sql`select p.tab, p.via, p.o, p.t from ${name} r join ${pairs} p on p.stab = r.tab and p.so = r.o and p.st = r.t`;
  const pairsCte = sql`${pairs} as materialized (${sql.join(
    inside.map((arc) => pairsOf(layout, arc)),
    sql` union all `,
  )})`;
  return [
    ...(byLookUp ? [] : [pairsCte]),
    sql`${name}(tab, via, o, t) as (${sql.join(seeds, sql` union all `)} union ${step})`,
    ...component.flatMap((table) => circleTableCtes(layout, table, name)),
  ];
}

function circleSeeds(layout: Layout, table: string, inside: readonly Arc[]): readonly Sql[] {
  const outside = (layout.arcsByTarget.get(table) ?? []).filter((arc) => !inside.includes(arc));
  const of = relation(layout, table);
  return sourcesOf(layout, table, outside).flatMap((source) => {
    const via = 'arc' in source ? layout.walk.arcs.indexOf(source.arc) : -1;
    const list = [
      sql`${number(tab(layout, table))} as tab`,
      sql`${number(via)} as via`,
      sql`${of}.tableoid`,
      sql`${of}.ctid`,
    ];
    if ('seed' in source) return [selectSeeds(layout, table, list, [source.seed])];
    return arms(layout, table, [source.arc]).map((arm) => reach(layout, source.arc, list, [], arm));
  });
}

function tab(layout: Layout, table: string): number {
  return layout.indexByTable.get(table) ?? -1;
}

function number(value: number): Sql {
  return sql.raw(`${value}::int`);
}

function lookUp(layout: Layout, arc: Arc): Sql {
  const { target } = arc;
  return sql`select ${number(tab(layout, target))} as tab, ${number(layout.walk.arcs.indexOf(arc))} as via, n.tableoid as o, n.ctid as t
    from ${relation(layout, arc.source)} s cross join lateral (
      select n.tableoid, n.ctid from ${relation(layout, target)} n where ${allOf(rowMatch(arc))} offset 0) n
    where r.tab = ${number(tab(layout, arc.source))} and s.tableoid = r.o and s.ctid = r.t`;
}

function pairsOf(layout: Layout, arc: Arc): Sql {
  const { source, target } = arc;
  return sql`select ${number(tab(layout, source))} as stab, s.tableoid as so, s.ctid as st,
    ${number(tab(layout, target))} as tab, ${number(layout.walk.arcs.indexOf(arc))} as via, n.tableoid as o, n.ctid as t
    from ${relation(layout, source)} s join ${relation(layout, target)} n on ${allOf(rowMatch(arc))}`;
}

/** Rows `s` and `n` match, both of the tables themselves. */
function rowMatch(arc: Arc): readonly Sql[] {
  const [parent, child] = arc.toParent ? [sql`n`, sql`s`] : [sql`s`, sql`n`];
  return [
    ...Object.entries(arc.edge.columns).map(
      ([from, to]) => sql`${parent}.${sql.id(to)} ${equality(arc.edge, from)} ${child}.${sql.id(from)}`,
    ),
    ...inPartition(partitionOf(arc, 'source'), sql`s.tableoid`),
    ...inPartition(partitionOf(arc, 'target'), sql`n.tableoid`),
  ];
}

function circleTableCtes(layout: Layout, table: string, circle: Sql): readonly Sql[] {
  const of = relation(layout, table);
  const here = sql`tab = ${number(tab(layout, table))}`;
  const found = sql.raw(`varve_f${tab(layout, table)}`);
  const limit = fewLimit(tableOf(layout.walk, table)) || SMALL_TABLE_ROWS;
  const few = sql`(select n from ${nameOf(layout, 'n', table)}) <= ${sql.raw(String(limit))}`;
  const arm = (gate: Sql, rows: Sql): Sql =>
    sql`select ${sql.join(keyList(layout, table))} from ${rows} f join ${of} on ${of}.tableoid = f.o and ${of}.ctid = f.t where ${gate}`;
  const hits = (layout.arcsByTarget.get(table) ?? []).map((arc) => {
    const via = number(layout.walk.arcs.indexOf(arc));
    return sql`, (select count(*) from ${circle} where ${here} and via = ${via}) as ${hitName(layout, arc)}`;
  });
  return [
    sql`${found} as materialized (select distinct o, t from ${circle} where ${here})`,
    sql`${nameOf(layout, 'n', table)} as materialized (select (select count(*) from ${found}) as n${sql.join(hits, sql``)})`,
    sql`${nameOf(layout, 'r', table)} as materialized (${arm(few, sql`(select * from ${found} limit ${sql.raw(String(limit))})`)}
      union all ${arm(sql`not ${few}`, found)})`,
  ];
}

function countedArcs(layout: Layout, component: readonly string[]): readonly Arc[] {
  const isCircular = isCircle(layout.walk, component);
  return component.flatMap((table) => {
    const arcs = layout.arcsByTarget.get(table) ?? [];
    const seeds = layout.walk.seeds.filter((seed) => seed.table === table);
    const isCounted = isCircular || (layout.walk.converge === 'any' && arcs.length + seeds.length > 1);
    return isCounted ? arcs : [];
  });
}

// ---- parts

/** The part rows that would go while their master stays. */
function strayCte(layout: Layout, { edge }: PartCheck, at: number): Sql {
  const columns = Object.entries(edge.columns);
  const given = columns.map(([child]) => sql`p.${keyName(layout, edge.from, child)} is not null`);
  const masters = layout.indexByTable.has(edge.to)
    ? [
        sql`not exists (select from ${nameOf(layout, 'r', edge.to)} m where ${allOf(
          columns.map(
            ([child, parent]) =>
              sql`m.${keyName(layout, edge.to, parent)} ${equality(edge, child)} p.${keyName(layout, edge.from, child)}`,
          ),
        )})`,
      ]
    : [];
  return sql`${sql.raw(`varve_v${at}`)} as materialized (select p.* from ${nameOf(layout, 'r', edge.from)} p where ${allOf([...given, ...masters])})`;
}

const SAMPLE_KEYS = 10;

function sampleOf(layout: Layout, { edge }: PartCheck, at: number): Sql {
  const { primaryKey } = tableOf(layout.walk, edge.from);
  const members = primaryKey.map((column) => sql`${column}::text, ${keyName(layout, edge.from, column)}`);
  const order = primaryKey.map((column) => keyName(layout, edge.from, column));
  if (order.length === 0) return sql`null::json`;
  return sql`(select json_agg(j) from (select json_build_object(${sql.join(members)}) as j from ${sql.raw(`varve_v${at}`)} order by ${sql.join(order)} limit ${sql.raw(String(SAMPLE_KEYS))}) l)`;
}
