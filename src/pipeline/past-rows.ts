/**
 * Walks over the past: the rows as they were, by the graph of then.
 *
 * Each table that the walk can reach is put together in a temporary table, from the rows that stand in its structure of then
 * and from those that were superseded since; the walk itself is that of the present. So it is exact, and costs a copy of
 * every table within reach. What was let go cannot be put together: then the walk is refused, for it would be silent about it.
 */
import { refusal, type Finding } from '../base/index.ts';
import type { TableGraph, WalkOutcome } from '../provenance/index.ts';
import { createGraph, findTable } from '../provenance/index.ts';
import { sql, type Queryable, type Store, type Transaction } from '../store/index.ts';
import { columnDdl } from './ddl.ts';
import { RefusedWork } from './refused-work.ts';
import { graphAsOf, type PastGraph } from './past-graph.ts';
import { loadGenerations, loadKnownRelations, type Relations } from './relation.ts';
import type { TableSpec } from './spec.ts';
import { countLetGo, unitsAt } from './versions.ts';

/** What to walk. */
export interface PastWalk {
  /** An instant (ISO 8601), or the name of a run: its end. */
  readonly asOf: string;
  /** Tables that the walk starts from, by their names then. */
  readonly tables: readonly string[];
  readonly toParents: boolean;
  /** The walk itself, over a graph whose tables hold the rows of then. Nothing can be written. */
  readonly walk: (database: Queryable, graph: TableGraph) => Promise<WalkOutcome>;
}

/** What a walk over the past found, with what was deployed then. */
export type PastWalkOutcome =
  | {
      readonly status: 'ok';
      readonly past: PastGraph;
      readonly outcome: Extract<WalkOutcome, { readonly status: 'ok' }>;
    }
  | { readonly status: 'refused'; readonly findings: readonly Finding[] };

/**
 * Runs a trace or cascade on the rows of a past moment.
 *
 * Errors: refuses with those of `graphAsOf` and of the walk, `unknown_table`, and `structure_missing` where rows within reach were let go.
 */
export async function walkAsOf(
  store: Store,
  { asOf, tables, toParents, walk }: PastWalk,
): Promise<PastWalkOutcome> {
  const result = await graphAsOf(store, asOf);
  if (result.status === 'refused') return result;
  const { past } = result;
  const starts = tables.map((table) => findTable(past.graph, table));
  const unknown = starts.flatMap((start) => ('severity' in start ? [start] : []));
  if (unknown.length > 0) return { status: 'refused', findings: unknown };
  const names = starts.flatMap((start) => ('severity' in start ? [] : [start.table]));
  const reached = reachable(past.graph, names, toParents);
  try {
    return await store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
      const lost = await letGoWithin(transaction, past, reached);
      if (lost.length > 0) throw new RefusedWork(lost);
      const graph = await putTogether(transaction, past, reached);
      await transaction.execute(sql`set transaction read only`);
      const outcome = await walk(transaction, graph);
      // A statement that the database refused has aborted the transaction: it cannot be committed.
      if (outcome.status === 'refused') throw new RefusedWork(outcome.findings);
      return { status: 'ok', past, outcome };
    });
  } catch (error) {
    if (error instanceof RefusedWork) return { status: 'refused', findings: error.findings };
    throw error;
  }
}

/** Every table that a walk can come to; parts and masters lead to each other whichever way it goes. */
function reachable(graph: TableGraph, starts: readonly string[], toParents: boolean): ReadonlySet<string> {
  const found = new Set(starts);
  for (const table of found) {
    for (const { from, to, kind } of graph.edges) {
      const isUp = toParents || kind === 'part';
      const isDown = !toParents || kind === 'part';
      if (from === table && isUp) found.add(to);
      if (to === table && isDown) found.add(from);
    }
  }
  return found;
}

async function letGoWithin(
  transaction: Transaction,
  { moment, asOf, set }: PastGraph,
  reached: ReadonlySet<string>,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const spec of set.tables.filter(({ name }) => reached.has(name))) {
    for (const { run, at, units } of await countLetGo(transaction, ownerOf(spec), moment)) {
      findings.push(
        refusal('structure_missing', spec.name, {
          detail: { asOf, letGoAt: at, run, units },
          hint: 'Rows of this table were let go since, so the walk would miss them. Ask about a later time, or about other tables with `varve history`.',
        }),
      );
    }
  }
  return findings;
}

/** The table whose units hold a table's rows: of a part, its master. */
function ownerOf({ name, master }: TableSpec): string {
  return master ?? name;
}

async function putTogether(
  transaction: Transaction,
  { graph, set, moment }: PastGraph,
  reached: ReadonlySet<string>,
): Promise<TableGraph> {
  const relations = await loadKnownRelations(transaction);
  const specs = set.tables.filter(({ name }) => reached.has(name));
  const nameByTable = new Map<string, string>();
  for (const [index, spec] of specs.entries()) {
    const name = `varve_then_${String(index)}`;
    nameByTable.set(spec.name, name);
    await fill(transaction, relations, { spec, name, moment });
  }
  const tables = specs.flatMap(({ name }) => {
    const table = graph.tables.get(name);
    const then = nameByTable.get(name);
    return table === undefined || then === undefined ? [] : [{ ...table, schema: 'pg_temp', name: then }];
  });
  return createGraph(tables, graph.edges);
}

async function fill(
  transaction: Transaction,
  relations: Relations,
  {
    spec,
    name,
    moment,
  }: { readonly spec: TableSpec; readonly name: string; readonly moment: PastGraph['moment'] },
): Promise<void> {
  const table = sql.id('pg_temp', name);
  const columns = spec.columns.map((column) =>
    columnDdl({ name: column.name, type: column.type, nullable: true }),
  );
  await transaction.execute(
    sql`create temporary table ${sql.id(name)} (${sql.join(columns)}) on commit drop`,
  );
  const units = await unitsAt(transaction, relations, ownerOf(spec), moment);
  if (units === undefined) return;
  // A unit's rows stand under the name that their table had when they were kept.
  const known = await loadGenerations(transaction, spec.name);
  const names = [...new Set([spec.name, ...known.map((generation) => generation.name)])];
  const rows = sql.join(names.map((each) => sql`u.rows -> ${each}::text`));
  await transaction.execute(sql`
    insert into ${table} select r.* from (${units}) u
    cross join lateral jsonb_to_recordset(coalesce(${rows}, '[]'::jsonb)) as r(${sql.join(columns)})`);
  await transaction.execute(sql`analyze ${table}`);
}
