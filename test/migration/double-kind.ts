import type { JsonObject } from '../../src/base/index.ts';
import { digestOf, sha256, type Baseline, type TableCounts } from '../../src/evidence/index.ts';
import {
  exactMeasures,
  measuresOfCounts,
  type Enforcement,
  type MigrationKind,
  type NewWrites,
  type RunContext,
  type Step,
} from '../../src/migration/index.ts';
import { sql, type Sql, type Transaction } from '../../src/store/index.ts';

/**
 * A small migration kind on real tables, for tests of the lifecycle: it gives a table a column `double` that is twice
 * its column `value`, beside the old table in batches of 2 rows, and renames in the deciding transaction. Its scratch
 * table goes in a step after.
 *
 * `forward.json`: `{ "table": "lab.thing" }`; `failAt` names a step that fails.
 */
export const doubleKind: MigrationKind = {
  name: 'pipeline',
  prefix: 'PIPE',
  limits: [
    'max_table_count_touched',
    'max_row_rekey',
    'max_row_backfill',
    'max_row_recompute',
    'max_row_retire',
  ],
  faultPoints: ['T01_batch', 'T02_renamed'],
  scopeKeys: ['allowed_schemas', 'allowed_tables', 'forbidden_schemas', 'forbidden_tables'],
  isolation: 'read committed',
  baselineIn: 'before',
  foreseesRows: true,
  plan: async ({ bundle, direction, transaction }) => {
    const table = tableOf(bundle.documents);
    const rows = await countRows(transaction, named(table));
    const failAt = bundle.documents['forward.json']?.['failAt'] ?? '';
    const tables = [counts(table, rows)];
    return {
      bound: { table, failAt, shape: direction },
      tables,
      objects: [table],
      enforcement: ENFORCEMENT,
      measures: measuresOfCounts(tables, [table]),
      shown: { estimatedMs: rows },
      rollbackClass: 'lossless',
      findings: [],
    };
  },
  apply: (bound) => [
    { mode: 'beside', name: 'expand', run: (context) => expand(context) },
    { mode: 'beside', name: 'fill', beforeEachTry: true, run: (context) => fill(context) },
    { mode: 'decide', name: 'swap', run: (context, transaction) => swap(context, transaction) },
    ...failing(bound),
    { mode: 'after', name: 'tidy', alsoAfterUndo: true, run: (context) => tidy(context) },
  ],
  rollback: () => [
    { mode: 'decide', name: 'swap back', run: (context, transaction) => swapBack(context, transaction) },
    { mode: 'after', name: 'tidy', alsoAfterUndo: true, run: (context) => tidy(context) },
  ],
  observe: async (context, transaction) => {
    const table = tableIn(context.bound);
    const rows = await countRows(transaction, named(table));
    const planned = context.tables[0]?.keep ?? 0;
    const filled = context.tables[0]?.backfill ?? 0;
    const expected = context.direction === 'forward' ? filled : planned + filled;
    const carried = Math.max(0, rows - expected);
    const tables = [{ ...counts(table, Math.min(rows, expected)), carried }];
    return {
      tables,
      objects: [table],
      witnesses: ['row_counts'],
      enforcement: ENFORCEMENT,
      measures: exactMeasures(measuresOfCounts(tables, [table])),
      touched: [],
      newWrites: context.direction === 'forward' ? [] : await writtenSince(context, transaction),
      checks: [{ name: 'rows_complete', status: 'pass' }],
      findings: [],
    };
  },
  undo: async (context, transaction) => {
    if (context.direction === 'forward') {
      await transaction.execute(sql`drop table if exists ${named(`${tableIn(context.bound)}_next`)}`);
    }
    return [];
  },
  baseline: async ({ bound }, transaction) => baselineOf(tableIn(bound), transaction),
};

const ENFORCEMENT: Enforcement = { level: 'observed', layers: ['row_counts'], role: 'none' };

/** The text of the authored files for a table. */
export function doubleDraft(
  id: string,
  table: string,
  options: { rows?: number; failAt?: string } = {},
): {
  readonly declaration: Parameters<
    typeof import('../../src/migration/index.ts').writeBundle
  >[1]['declaration'];
  readonly files: Readonly<Record<string, string>>;
} {
  const [schema = '', name = ''] = table.split('.');
  return {
    declaration: {
      migration_id: id,
      type: 'pipeline',
      intent: 'Every thing gets its double.',
      scope: {
        allowed_schemas: [schema],
        allowed_tables: [name],
        forbidden_schemas: [],
        forbidden_tables: [],
      },
      limits: { max_table_count_touched: 1, max_row_backfill: options.rows ?? 100 },
      requires_rollback: true,
      approvals: { required_reviewers: ['group:approvers'], change_class: 'routine' },
      artifacts: { forward: ['forward.json'], rollback: ['rollback.json'] },
    },
    files: {
      'forward.json': JSON.stringify({
        table,
        ...(options.failAt === undefined ? {} : { failAt: options.failAt }),
      }),
      'rollback.json': JSON.stringify({ table }),
      'notes.md': '# Why\n\nFor a test.\n',
    },
  };
}

function tableOf(documents: Readonly<Record<string, JsonObject>>): string {
  return tableIn(documents['forward.json'] ?? {});
}

function tableIn(values: JsonObject): string {
  const { table } = values;
  if (typeof table !== 'string') throw new TypeError('no table');
  return table;
}

function named(table: string): Sql {
  return sql.id(...table.split('.'));
}

function counts(table: string, backfill: number): TableCounts {
  return { table, keep: 0, rekey: 0, backfill, recompute: 0, retire: 0, ambiguous: 0, carried: 0 };
}

function failing({ failAt }: JsonObject): readonly Step[] {
  if (failAt === 'decide') {
    return [
      {
        mode: 'decide',
        name: 'fail',
        run: async (_context, transaction) => {
          await transaction.execute(sql`select 1 / 0`);
          return { findings: [] };
        },
      },
    ];
  }
  if (failAt !== 'beside') return [];
  return [{ mode: 'beside', name: 'fail', run: () => Promise.reject(new TypeError('a bug in a step')) }];
}

async function countRows(transaction: Transaction, table: Sql): Promise<number> {
  const [row] = await transaction.query<{ readonly n: bigint }>(sql`select count(*) as n from ${table}`);
  return Number(row?.n ?? 0);
}

async function expand(context: RunContext): Promise<{ findings: [] }> {
  const table = tableIn(context.bound);
  await context.store.transaction({}, async (transaction) => {
    await context.fence(transaction);
    await transaction.execute(
      sql`create table if not exists ${named(`${table}_next`)} (id int primary key, value int not null, double int not null)`,
    );
    await transaction.execute(sql`create table if not exists ${named(`${table}_scratch`)} (id int)`);
  });
  return { findings: [] };
}

async function tidy(context: RunContext): Promise<{ findings: [] }> {
  await context.store.transaction({ lockTimeoutMs: 100 }, async (transaction) => {
    await context.fence(transaction);
    await transaction.execute(sql`drop table if exists ${named(`${tableIn(context.bound)}_scratch`)}`);
  });
  return { findings: [] };
}

async function fill(context: RunContext): Promise<{ findings: [] }> {
  const table = tableIn(context.bound);
  for (let done = 0; ;) {
    const added = await context.store.transaction({}, async (transaction) => {
      await context.fence(transaction);
      return transaction.execute(sql`
        insert into ${named(`${table}_next`)} select t.id, t.value, t.value * 2 from ${named(table)} t
        where not exists (select from ${named(`${table}_next`)} n where n.id = t.id) order by t.id limit 2`);
    });
    if (added === 0) return { findings: [] };
    done += added;
    context.progress({ step: 'fill', done, total: context.tables[0]?.backfill });
    await context.fault('T01_batch');
  }
}

async function swap(context: RunContext, transaction: Transaction): Promise<{ findings: [] }> {
  const table = tableIn(context.bound);
  const name = table.split('.')[1] ?? '';
  await transaction.execute(sql`lock table ${named(table)} in access exclusive mode`);
  await transaction.execute(sql`
    insert into ${named(`${table}_next`)} select t.id, t.value, t.value * 2 from ${named(table)} t
    where not exists (select from ${named(`${table}_next`)} n where n.id = t.id)`);
  await transaction.execute(sql`alter table ${named(table)} rename to ${sql.id(`${name}_old`)}`);
  await transaction.execute(sql`alter table ${named(`${table}_next`)} rename to ${sql.id(name)}`);
  await context.fault('T02_renamed');
  return { findings: [] };
}

async function swapBack(context: RunContext, transaction: Transaction): Promise<{ findings: [] }> {
  const table = tableIn(context.bound);
  const name = table.split('.')[1] ?? '';
  await transaction.execute(sql`lock table ${named(table)} in access exclusive mode`);
  await transaction.execute(sql`
    insert into ${named(`${table}_old`)} select t.id, t.value from ${named(table)} t
    where not exists (select from ${named(`${table}_old`)} o where o.id = t.id)`);
  await transaction.execute(sql`drop table ${named(table)}`);
  await transaction.execute(sql`alter table ${named(`${table}_old`)} rename to ${sql.id(name)}`);
  return { findings: [] };
}

/** How many rows the table has more than at the forward run's baseline. */
async function writtenSince(context: RunContext, transaction: Transaction): Promise<readonly NewWrites[]> {
  const table = tableIn(context.bound);
  const [row] = await transaction.query<{ readonly n: number }>(sql`
    select (body->'baseline'->'tables'->0->>'rows')::int as n from varve.ledger
    where run_id = ${context.forward?.runId ?? ''} and phase = 'baselined'`);
  const rows = (await countRows(transaction, named(table))) - (row?.n ?? 0);
  return rows > 0 ? [{ table, rows }] : [];
}

async function baselineOf(table: string, transaction: Transaction): Promise<Baseline> {
  const columns = await transaction.query<{ readonly name: string; readonly type: string }>(sql`
    select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped order by attname`);
  const [rows] = await transaction.query<{ readonly n: bigint; readonly text: string | null }>(
    sql`select count(*) as n, string_agg(to_jsonb(t)::text, '|' order by t.id) as text from ${named(table)} t`,
  );
  const [server] = await transaction.query<{ readonly version: string }>(
    sql`select current_setting('server_version') as version`,
  );
  const shape = digestOf(columns.map(({ name, type }) => ({ name, type })));
  return {
    baseline_version: 'v1',
    algorithm: 'double/1',
    server_version: server?.version.split('.')[0] ?? '',
    object_counts: { table: 1 },
    schema_fingerprint: { strict: shape, logical: shape },
    tables: [{ table, rows: Number(rows?.n ?? 0), digest: sha256(rows?.text ?? '') }],
  };
}
