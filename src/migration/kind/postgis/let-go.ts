/**
 * What runs of SQL migrations keep in history, and its end: `retire` lets go of the rows, under an approval of their exact
 * counts. What stays is a line for each statement and table: which run took how many rows of it, and which run let go of them.
 */
import { refusal, type Finding, type JsonObject } from '../../../base/index.ts';
import { digestOf, type Baseline, type TableCounts } from '../../../evidence/index.ts';
import {
  isStoreError,
  sql,
  sumDigest,
  sumRows,
  type Queryable,
  type Sql,
  type Transaction,
} from '../../../store/index.ts';
import type { Enforcement, KindPlan, Observation, RetireVerbs, RunContext } from '../../kind.ts';

/** The rows of one table that the runs of one migration keep. */
export interface CapturedTable {
  readonly migrationId: string;
  /** `schema.table`, as it was called then. */
  readonly table: string;
  readonly rows: number;
  readonly sizeBytes: number;
}

/** All that is kept, by migration and table; none where varve was never used. */
export async function capturedTables(store: Queryable): Promise<readonly CapturedTable[]> {
  try {
    // A part of the whole: how many bytes each row takes is not worth reading them all.
    return await store.query<CapturedTable & Record<string, unknown>>(sql`
      select l.migration_id as "migrationId", c.schema_name || '.' || c.table_name as "table", sum(c.rows)::float8 as rows,
        round(sum(c.rows) * pg_total_relation_size('varve.captured_row')
          / greatest(1, (select sum(rows) from varve.captured where let_go_run is null)))::float8 as "sizeBytes"
      from varve.captured c join varve.ledger l on l.run_id = c.run_id and l.phase = 'committed'
      where c.let_go_run is null and c.rows > 0 group by 1, 2 order by 1, 2`);
  } catch (error) {
    if (isStoreError(error, '42P01', '3F000')) return [];
    throw error;
  }
}

const ENFORCEMENT: Enforcement = { level: 'observed', layers: ['catalog'], role: 'none' };

/** The direction `retire` of the kind `postgis`. */
export const retireVerbs: RetireVerbs = {
  plan: async ({ bundle, transaction }) => {
    const kept = await keptOf(transaction, bundle.id);
    return {
      bound: { captured: kept },
      tables: countsOf(kept),
      objects: namesOf(kept),
      partOf: partsOf(kept),
      enforcement: ENFORCEMENT,
      measures: {},
      shown: {},
      rollbackClass: 'lossless',
      findings: kept.length === 0 ? [nothingLeft(bundle.id)] : [],
    };
  },
  apply: () => [
    {
      mode: 'decide',
      name: 'let go',
      run: async (context, transaction) => ({ findings: await letGo(context, transaction) }),
    },
  ],
  observe,
  // Everything is done in the deciding transaction: a run that is not decided left nothing.
  undo: () => Promise.resolve([]),
  baseline: ({ bundle }, transaction) => measure(transaction, bundle.id),
};

/** What a plan names, and a run is held to. */
interface Kept extends JsonObject {
  readonly run: string;
  readonly table: string;
  readonly root: string | null;
  readonly statements: number;
  readonly rows: number;
}

const ofMigration = (id: string): Sql =>
  sql`run_id in (select run_id from varve.ledger where migration_id = ${id} and phase = 'committed')`;

async function keptOf(transaction: Queryable, id: string): Promise<readonly Kept[]> {
  return transaction.query<Kept>(sql`
    select run_id as run, schema_name || '.' || table_name as "table", max(root_schema || '.' || root_name) as root,
      count(*)::int4 as statements, sum(rows)::float8 as rows
    from varve.captured where let_go_run is null and rows > 0 and ${ofMigration(id)} group by 1, 2 order by 1, 2`);
}

async function letGo(
  { bundle, bound, runId }: RunContext,
  transaction: Transaction,
): Promise<readonly Finding[]> {
  const kept = await keptOf(transaction, bundle.id);
  if (digestOf([...kept]) !== digestOf(bound['captured'] as readonly Kept[])) {
    return [
      refusal('plan_changed', bundle.id, {
        detail: { tables: namesOf(kept) },
        hint: 'What is kept is not what was planned and approved: look at it again with `varve retire --dry-run`.',
      }),
    ];
  }
  await transaction.execute(sql`delete from varve.captured_row where captured in (
    select id from varve.captured where let_go_run is null and ${ofMigration(bundle.id)})`);
  await transaction.execute(sql`update varve.captured set let_go_run = ${runId}
    where let_go_run is null and ${ofMigration(bundle.id)}`);
  return [];
}

async function observe({ bound, runId }: RunContext, transaction: Transaction): Promise<Observation> {
  const planned = bound['captured'] as readonly Kept[];
  const [row] = await transaction.query<{ gone: bigint; left: bigint }>(sql`
    select coalesce(sum(rows), 0)::int8 as gone,
      (select count(*) from varve.captured_row r join varve.captured c on c.id = r.captured where c.let_go_run = ${runId}) as left
    from varve.captured where let_go_run = ${runId}`);
  const total = planned.reduce((sum, { rows }) => sum + rows, 0);
  const isGone = Number(row?.gone ?? 0n) === total && row?.left === 0n;
  return {
    tables: countsOf(planned),
    objects: namesOf(planned),
    partOf: partsOf(planned),
    witnesses: ENFORCEMENT.layers,
    enforcement: ENFORCEMENT,
    measures: {},
    touched: countsOf(planned).map(({ table, retire }) => {
      const dot = table.indexOf('.');
      return {
        kind: 'table',
        schema: table.slice(0, dot),
        name: table.slice(dot + 1),
        change: 'let_go',
        rows: retire,
      };
    }),
    newWrites: [],
    checks: [{ name: 'history_remembered', status: isGone ? 'pass' : 'fail' }],
    findings: [],
  };
}

/** What is kept, by table, without the tables themselves: nothing of them is touched. */
async function measure(transaction: Transaction, id: string): Promise<Baseline> {
  const kept = await keptOf(transaction, id);
  const tables = [];
  for (const table of namesOf(kept)) {
    const from = sql`(select r.texts from varve.captured_row r join varve.captured c on c.id = r.captured
      where c.schema_name || '.' || c.table_name = ${table} and c.let_go_run is null and ${ofMigration(id)})`;
    const sum = await sumRows(transaction, { from, columns: ['texts'] });
    tables.push({ table, rows: sum.rows, digest: sumDigest(sum) });
  }
  const [server] = await transaction.query<{ version: string }>(
    sql`select (current_setting('server_version_num')::int / 10000)::text as version`,
  );
  const nothing = digestOf([]);
  return {
    baseline_version: 'v1',
    algorithm: 'captured/1',
    server_version: server?.version ?? '',
    object_counts: { table: tables.length },
    schema_fingerprint: { strict: nothing, logical: nothing },
    tables,
  };
}

function namesOf(kept: readonly Kept[]): readonly string[] {
  return [...new Set(kept.map(({ table }) => table))].toSorted();
}

function partsOf(kept: readonly Kept[]): NonNullable<KindPlan['partOf']> {
  return Object.fromEntries(kept.flatMap(({ table, root }) => (root === null ? [] : [[table, root]])));
}

function countsOf(kept: readonly Kept[]): readonly TableCounts[] {
  return namesOf(kept).map((table) => {
    const retire = kept.filter((each) => each.table === table).reduce((sum, { rows }) => sum + rows, 0);
    return { table, keep: 0, rekey: 0, backfill: 0, recompute: 0, retire, ambiguous: 0, carried: 0 };
  });
}

function nothingLeft(id: string): Finding {
  return refusal('nothing_to_retire', id, {
    hint: 'It overwrote and destroyed nothing, or what it did was let go before. Look at `varve status`.',
  });
}
