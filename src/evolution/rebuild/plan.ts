/** How many rows of each rebuilt table are in which class: one statement over all of them, which only reads. */
import type { Finding } from '../../base/index.ts';
import type { TableCounts } from '../../evidence/index.ts';
import { sql, type Queryable, type Sql } from '../../store/index.ts';
import { dependents } from '../dependents.ts';
import { counts, type PlannedRebuild, type PlanScope, type Rebuild } from '../operation/operation.ts';
import { variantsOf } from './coverage.ts';
import { classifiedRows } from './rows.ts';
import type { Facts } from './row-test.ts';
import { plannedWorld, rebuilding, rebuildsOf, type Rebuilding, type RebuildWorld } from './world.ts';

/** All rebuilds, by table. */
export async function planRebuilds(scope: PlanScope): Promise<ReadonlyMap<string, PlannedRebuild>> {
  const { world, lists, tables } = await plannedLists(scope);
  if (tables.length === 0) return new Map();
  const selects = tables.map(
    ({
      operation,
    }) => sql`select ${operation.table}::text as "table", "#class" as class, "#why" as why, count(*) as rows
      from ${world.listOf(operation.table)} group by 2, 3`,
  );
  const rows = await scope.transaction.query<{ table: string; class: string; why: string; rows: bigint }>(
    sql`with ${sql.join(lists)} ${sql.join(selects, sql` union all `)} order by 1, 2, 3`,
  );
  const planned = new Map<string, PlannedRebuild>();
  for (const of of tables) {
    const own = rows.filter(({ table }) => table === of.operation.table);
    planned.set(of.operation.table, {
      counts: countsOf(of.operation, own),
      findings: await inTheWay(scope.transaction, of),
      reasons: own
        .filter(({ why }) => why !== '')
        .map(({ class: name, why, rows: count }) => ({ class: name, why, rows: Number(count) })),
    });
  }
  return planned;
}

/** The lists of all rebuilds as parts of one WITH, each after those it looks at. */
export async function plannedLists(scope: PlanScope): Promise<{
  readonly world: RebuildWorld;
  readonly lists: readonly Sql[];
  readonly tables: readonly Rebuilding[];
}> {
  const operations = rebuildsOf(scope);
  const names = new Map(operations.map(({ table }, index) => [table, sql.raw(`list_${String(index)}`)]));
  const world = plannedWorld(scope, (table) => names.get(table) ?? sql`null`);
  const tables = operations
    .filter(({ from }) => from.length > 0)
    .map((operation) => rebuilding(operation, world));
  const lists: Sql[] = [];
  const canJudgeText = await judgesText(scope.transaction);
  for (const of of tables) {
    const facts: Facts = { variants: await variantsOf(scope.transaction, of), canJudgeText };
    lists.push(sql`${world.listOf(of.operation.table)} as materialized (${classifiedRows(of, facts)})`);
  }
  return { world, lists, tables };
}

/** Whether the server can be asked if a text is a value of a type, instead of failing over it. */
export async function judgesText(store: Queryable): Promise<boolean> {
  const [row] = await store.query<{ there: boolean }>(
    sql`select exists (select from pg_proc where proname = 'pg_input_is_valid') as there`,
  );
  return row?.there === true;
}

function countsOf(
  { table }: Rebuild,
  rows: readonly { readonly class: string; readonly rows: bigint }[],
): TableCounts {
  const count = (name: string): number =>
    rows.filter((row) => row.class === name).reduce((sum, row) => sum + Number(row.rows), 0);
  return counts(table, {
    keep: count('keep'),
    rekey: count('rekey'),
    backfill: count('backfill'),
    recompute: count('recompute'),
    retire: count('retire'),
    ambiguous: count('ambiguous'),
  });
}

async function inTheWay(transaction: Queryable, of: Rebuilding): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const relation of of.sources) findings.push(...(await dependents(transaction, relation)));
  return findings;
}
