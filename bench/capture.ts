/**
 * A backfill of a million rows of four columns, with a primary key and one index beside it, on PostgreSQL 18: the bare UPDATE,
 * and the same in a migration's transaction, which keeps each old row. Committed and written to disk; in turn, so that both see
 * the same machine.
 */
import { armCapture, disarmCapture, loadRelations } from '../src/migration/index.ts';
import { sql, type Store, type Transaction } from '../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../src/store/postgres/index.ts';
import { alternate, atMost, figure, timedMs, type Figure } from './figure.ts';
import type { BenchStores } from './stores.ts';

const ROWS = Number(process.env['VARVE_BENCH_CAPTURE_ROWS'] ?? 1_000_000);
const ROUNDS = 3;
const SCHEMA = 'bench_capture';

/** Measures it on the server; what it made is dropped again. */
export async function benchCapture({ server, progress }: BenchStores): Promise<readonly Figure[]> {
  await installCatalog(server, { files: await readCatalogFiles() });
  try {
    progress(`making ${String(ROWS)} rows`);
    await server.script(`
      create schema ${SCHEMA};
      create table ${SCHEMA}.plot (id bigint primary key, name text not null, area float8, at timestamptz);
      insert into ${SCHEMA}.plot select i, 'plot number ' || i, i / 7.0, timestamptz '2026-01-01 00:00Z' + i * interval '1 minute'
      from generate_series(1, ${String(ROWS)}) i;
      create index plot_at on ${SCHEMA}.plot (at)`);
    progress('updating');
    const [bare = NaN, kept = NaN] = await alternate(ROUNDS, [
      () => backfill(server, (transaction, update) => update(transaction)),
      () => backfill(server, captured),
    ]);
    return [
      figure('backfill of a million rows, bare', bare, 'ms'),
      figure('the same with each old row kept', kept, 'ms'),
      atMost('kept against bare', kept / bare, 'times', 2.5),
    ];
  } finally {
    await server.script(
      `drop schema if exists ${SCHEMA} cascade; delete from varve.captured where run_id = '${SCHEMA}'`,
    );
    await server.execute(sql`truncate varve.captured_row`);
  }
}

type Update = (transaction: Transaction) => Promise<unknown>;

async function captured(transaction: Transaction, update: Update): Promise<void> {
  await armCapture(transaction, {
    runId: SCHEMA,
    scope: {
      allowed_schemas: [SCHEMA],
      allowed_tables: ['plot'],
      forbidden_schemas: [],
      forbidden_tables: [],
    },
    relations: await loadRelations(transaction),
    writesRows: true,
  });
  await update(transaction);
  await disarmCapture(transaction);
}

/** Once, on a table without dead rows; what it takes to its commit. */
async function backfill(
  store: Store,
  work: (transaction: Transaction, update: Update) => Promise<unknown>,
): Promise<number> {
  for (const text of [`vacuum full analyze ${SCHEMA}.plot`, 'truncate varve.captured_row', 'checkpoint'])
    await store.script(text);
  const update: Update = (transaction) =>
    transaction.execute(sql`update ${sql.id(SCHEMA, 'plot')} set area = area + 1`);
  return timedMs(() => store.transaction({}, (transaction) => work(transaction, update)));
}
