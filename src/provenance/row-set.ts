import { refusal, type Finding, type Json } from '../base/index.ts';
import { compileSql, isStoreError, sql, type Queryable, type Sql, type Store } from '../store/index.ts';
import { conditionFault, readCondition } from './condition.ts';
import { findTable, type EdgeKind, type GraphEdge, type GraphTable, type TableGraph } from './graph.ts';
import { planWalk, type Seed, type Walk, type WalkDirection } from './walk.ts';
import { walkStatement, type PartCheck } from './walk-sql.ts';

/** Rows of a table to start from. */
export interface Start {
  /** `schema.table`, or the bare name where one schema has it. */
  readonly table: string;
  /** A person's SQL condition on the table: checked, and run in a read-only transaction. Default: all rows. */
  readonly where?: string;
  /** A condition that varve wrote itself, as SQL with parameters. */
  readonly condition?: Sql;
}

/** An edge by which rows of a table were reached. */
export interface Via {
  readonly edge: string;
  readonly from: string;
  readonly to: string;
  readonly kind: EdgeKind;
}

/** A table of a walk and how many of its rows the walk reached. */
export interface WalkedTable {
  readonly table: string;
  readonly rows: number;
  /** The edges by which at least one row was reached; empty for the rows of the start. */
  readonly via: readonly Via[];
}

/**
 * What a walk found, or why it was refused.
 *
 * Shape: `{ status: 'ok', table: 'lab.mouse', rows: 1, tables: [{ table: 'lab.mouse', rows: 1, via: [] }, { table: 'lab.scan', rows: 4, via: [...] }] }`
 * Invariant: `tables` has every table that an edge leads to, parents first, the start included, and those with no rows too.
 */
export type WalkOutcome =
  | {
      readonly status: 'ok';
      readonly table: string;
      /** Rows of the start table that the walk holds. */
      readonly rows: number;
      readonly tables: readonly WalkedTable[];
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/** What every walk takes. */
export interface WalkOptions {
  /** Only these tables are listed; one that no edge leads to is refused with `unrelated_table`. */
  readonly only?: readonly string[];
  /** Milliseconds the statement may run. Default 0: without end. */
  readonly statementTimeoutMs?: number;
}

/** A walk to be run: from where, by which edges, and which parts must not lose their master. */
export interface RowSetRequest extends WalkOptions, WalkDirection {
  readonly starts: readonly Start[];
  readonly converge: Walk['converge'];
  /** Refuse when a part's row is reached and its master is not. */
  readonly keepParts: boolean;
}

/**
 * Runs a walk as one statement. On a store it gets a read-only transaction of its own; inside a transaction it sees what
 * that transaction sees.
 */
export async function walkRows(
  database: Store | Queryable,
  graph: TableGraph,
  request: RowSetRequest,
): Promise<WalkOutcome> {
  const seeds = await Promise.all(request.starts.map((start) => readStart(graph, start)));
  const findings = seeds.filter(isFinding);
  const found = seeds.filter((seed): seed is StartSeed => !isFinding(seed));
  const [first] = found;
  if (findings.length > 0 || first === undefined) return { status: 'refused', findings };

  const walk = planWalk(graph, found, request, request.converge);
  const only = chooseTables(walk, first.table, request.only);
  if (only !== undefined && isFinding(only)) return { status: 'refused', findings: [only] };
  const checks = request.keepParts ? partChecks(walk) : [];
  return await runWalk(database, walk, { checks, only, request, first });
}

/** A seed with what a person wrote. */
export type StartSeed = Seed & { readonly start: Start };

/** Tells a finding from what was looked for. */
export function isFinding(value: object): value is Finding {
  return 'severity' in value;
}

/** A start as a seed of a walk, or what is wrong with it. */
export async function readStart(graph: TableGraph, start: Start): Promise<StartSeed | Finding> {
  const table = findTable(graph, start.table);
  if (isFinding(table)) return table;
  if (start.where === undefined) {
    return {
      table: table.table,
      start,
      ...(start.condition === undefined ? {} : { condition: start.condition }),
    };
  }
  const condition = await readCondition(table, start.where);
  return isFinding(condition) ? condition : { table: table.table, start, condition };
}

function chooseTables(
  walk: Walk,
  start: string,
  only: readonly string[] | undefined,
): ReadonlySet<string> | undefined | Finding {
  if (only === undefined) return undefined;
  const reached = new Set(walk.components.flat());
  const chosen = only.map((asked) => findTable(walk.graph, asked));
  for (const table of chosen) {
    if (isFinding(table)) return table;
    if (!reached.has(table.table)) return unrelated(table, start, reached);
  }
  return new Set(chosen.flatMap((table) => (isFinding(table) ? [] : [table.table])));
}

function unrelated({ table }: GraphTable, start: string, reached: ReadonlySet<string>): Finding {
  return refusal('unrelated_table', table, {
    detail: { start },
    hint: `Ask for one of: ${[...reached].toSorted().join(', ')}.`,
  });
}

function partChecks({ graph, components }: Walk): readonly PartCheck[] {
  const reached = new Set(components.flat());
  return graph.edges
    .filter(({ kind, from }) => kind === 'part' && reached.has(from))
    .map((edge) => ({ edge }));
}

interface Run {
  readonly checks: readonly PartCheck[];
  readonly only: ReadonlySet<string> | undefined;
  readonly request: RowSetRequest;
  readonly first: StartSeed;
}

type WalkRow = {
  readonly counts: readonly bigint[];
  readonly hits: readonly bigint[];
  readonly strays: readonly bigint[];
  readonly [sample: `s${number}`]: Json;
};

async function runWalk(database: Store | Queryable, walk: Walk, run: Run): Promise<WalkOutcome> {
  const { statement, tables, hits, checks } = walkStatement(walk, run.checks);
  const answer = await queryOnce(database, walk, statement, run.request);
  if (isFinding(answer)) return { status: 'refused', findings: [answer] };
  const strays = checks.flatMap(({ edge }, at) =>
    strayFinding(edge, Number(answer.strays[at]), answer[`s${at}`] ?? null),
  );
  if (strays.length > 0) return { status: 'refused', findings: strays };

  const countByTable = new Map(tables.map((table, at) => [table, Number(answer.counts[at])]));
  const countByArc = new Map(hits.map((arc, at) => [arc, Number(answer.hits[at])]));
  const viaOf = (table: string): readonly Via[] =>
    walk.arcs
      .filter((arc) => arc.target === table && (countByArc.get(arc) ?? countByTable.get(table) ?? 0) > 0)
      .map(({ edge: { name, from, to, kind } }) => ({ edge: name, from, to, kind }));
  const listed = walk.graph.order.filter(
    (table) => countByTable.has(table) && (run.only?.has(table) ?? true),
  );
  return {
    status: 'ok',
    table: run.first.table,
    rows: countByTable.get(run.first.table) ?? 0,
    tables: listed.map((table) => ({ table, rows: countByTable.get(table) ?? 0, via: viaOf(table) })),
  };
}

async function queryOnce(
  database: Store | Queryable,
  walk: Walk,
  statement: Sql,
  { starts, statementTimeoutMs = 0 }: RowSetRequest,
): Promise<WalkRow | Finding> {
  const seeds = walk.seeds as readonly StartSeed[];
  try {
    const [row] = await inReadOnly(database, statementTimeoutMs, (reader) =>
      reader.query<WalkRow>(statement),
    );
    return row ?? { counts: [], hits: [], strays: [] };
  } catch (error) {
    if (!isStoreError(error) || !/^(22|25|42)/u.test(error.fields.sqlstate)) throw error;
    const asked = seeds.find(({ start: { where } }) => where !== undefined);
    const table = asked === undefined ? undefined : walk.graph.tables.get(asked.table);
    if (asked?.start.where !== undefined && table !== undefined && starts.length === 1)
      return conditionFault(table, asked.start.where, compileSql(statement).text, error.fields);
    const fault = await faultyCondition(database, walk.graph, starts);
    if (fault === undefined) throw error;
    return fault;
  }
}

/** Which of several conditions the database refused: each is tried alone. Inside a transaction, which it has aborted, none can be. */
export async function faultyCondition(
  database: Store | Queryable,
  graph: TableGraph,
  starts: readonly Start[],
): Promise<Finding | undefined> {
  if (!('transaction' in database)) return undefined;
  for (const start of starts) {
    const seed = await readStart(graph, start);
    if (isFinding(seed)) return seed;
    const table = graph.tables.get(seed.table);
    if (table === undefined || start.where === undefined || seed.condition === undefined) continue;
    const statement = sql`select count(*) from ${sql.id(table.schema, table.name)} where (${seed.condition})`;
    try {
      await database.transaction({ readOnly: true }, (reader) => reader.query(statement));
    } catch (error) {
      if (!isStoreError(error) || !/^(22|25|42)/u.test(error.fields.sqlstate)) throw error;
      return conditionFault(table, start.where, compileSql(statement).text, error.fields);
    }
  }
  return undefined;
}

async function inReadOnly<T>(
  database: Store | Queryable,
  statementTimeoutMs: number,
  work: (reader: Queryable) => Promise<T>,
): Promise<T> {
  if (!('transaction' in database)) return await planned(database, work);
  return await database.transaction({ readOnly: true, statementTimeoutMs }, (reader) =>
    planned(reader, work),
  );
}

/** With the planner settings a walk is written for; see `walk-sql.ts`. They end with the transaction at the latest. */
async function planned<T>(reader: Queryable, work: (reader: Queryable) => Promise<T>): Promise<T> {
  const [before] = await reader.query<Settings>(
    sql`select current_setting('enable_nestloop') as nestloop, current_setting('enable_hashagg') as hashagg,
      current_setting('work_mem') as memory,
      set_config('enable_nestloop', 'off', true), set_config('enable_hashagg', 'off', true),
      set_config('work_mem', greatest(pg_size_bytes(current_setting('work_mem')), ${WORK_MEMORY_BYTES}::int8) / 1024 || 'kB', true)`,
  );
  const result = await work(reader);
  await reader.query(
    sql`select set_config('enable_nestloop', ${before?.nestloop ?? 'on'}, true),
      set_config('enable_hashagg', ${before?.hashagg ?? 'on'}, true), set_config('work_mem', ${before?.memory ?? '4MB'}, true)`,
  );
  return result;
}

type Settings = Readonly<Record<'nestloop' | 'hashagg' | 'memory', string>>;

/** A hash of a million keys fits; a larger one goes to disk, as ever. */
const WORK_MEMORY_BYTES = 64 * 1_024 * 1_024;

function strayFinding({ from, to }: GraphEdge, rows: number, keys: Json): readonly Finding[] {
  if (rows === 0) return [];
  return [
    refusal('part_without_master', from, {
      detail: { master: to, rows, keys: keys ?? [] },
      hint: `Start from ${to}, or take masters and siblings along with --parts cascade.`,
    }),
  ];
}
