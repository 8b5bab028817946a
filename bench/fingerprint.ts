/**
 * Fingerprints and digests of rows: the catalog of 10,000 tables (120,000 rows), what a transaction wrote of it, and a
 * million rows of four columns. Times are those of the statements as varve sends them, on both stores.
 */
import { ownCatalogRows } from '../src/migration/index.ts';
import { fingerprint } from '../src/provenance/index.ts';
import { keyedDigest, readPinned, sql, sumRows, type Store } from '../src/store/index.ts';
import { atMost, figure, median, timedMs, type Figure } from './figure.ts';
import type { BenchStores } from './stores.ts';

const TABLES = Number(process.env['VARVE_BENCH_FINGERPRINT_TABLES'] ?? 10_000);
const ROWS = Number(process.env['VARVE_BENCH_FINGERPRINT_ROWS'] ?? 1_000_000);
const ROUNDS = 3;
const SCHEMA = 'bench_fingerprint';

/** Measures both stores; what it made is dropped again. */
export async function benchFingerprint({
  server,
  embedded,
  progress,
}: BenchStores): Promise<readonly Figure[]> {
  return [
    ...(await measureStore(server, 'server', { wholeMs: 1_700, deltaMs: 100 }, progress)),
    ...(await measureStore(embedded, 'embedded', { wholeMs: 2_900, deltaMs: 100 }, progress)),
  ];
}

async function measureStore(
  store: Store,
  name: string,
  target: { readonly wholeMs: number; readonly deltaMs: number },
  progress: BenchStores['progress'],
): Promise<readonly Figure[]> {
  try {
    progress(`${name}: making ${String(TABLES)} tables`);
    await makeTables(store);
    progress(`${name}: fingerprint`);
    const { objects } = await fingerprint(store);
    const whole = await rounds(() => fingerprint(store));
    const scoped = await rounds(() => fingerprint(store, { scope: { tables: [`${SCHEMA}.t1`] } }));
    progress(`${name}: delta`);
    const delta = await measureDelta(store);
    await dropAll(store);
    progress(`${name}: ${String(ROWS)} rows`);
    const rows = await measureRows(store);
    return [
      figure(`objects in the catalog, ${name}`, objects, 'objects'),
      atMost(`fingerprint of the catalog, ${name}`, whole, 'ms', target.wholeMs),
      figure(`fingerprint of one table, ${name}`, scoped, 'ms'),
      figure(`the same before its first write, ${name}`, delta.keys, 'ms'),
      atMost(`what the transaction wrote of the catalog, ${name}`, delta.delta, 'ms', target.deltaMs),
      ...(name === 'server'
        ? [
            atMost(`sum of rows, ${name}`, rows.sum, 'ms', 700),
            atMost(`keyed digest of rows, ${name}`, rows.keyed, 'ms', 2_500),
          ]
        : [
            figure(`sum of rows, ${name}`, rows.sum, 'ms'),
            figure(`keyed digest of rows, ${name}`, rows.keyed, 'ms'),
          ]),
    ];
  } finally {
    await dropAll(store);
  }
}

async function rounds(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) times.push(await timedMs(work));
  return median(times);
}

async function measureDelta(store: Store): Promise<{ readonly keys: number; readonly delta: number }> {
  return await store.transaction({ isolation: 'repeatable read' }, async (transaction) => {
    const read = (): Promise<unknown> => ownCatalogRows(transaction, { readsRoles: true });
    await transaction.query(sql`select pg_current_xact_id()`);
    const keys = await rounds(read);
    await transaction.script(`alter table ${SCHEMA}.t1 add column z int; create index on ${SCHEMA}.t2 (e);
      drop table ${SCHEMA}.t3`);
    return { keys, delta: await rounds(read) };
  });
}

async function measureRows(store: Store): Promise<{ readonly sum: number; readonly keyed: number }> {
  await store.script(`create schema ${SCHEMA};
    create table ${SCHEMA}.r as select g as id, 'name ' || g as name, g * 1.5::float8 as x, now() + g * interval '1 s' as at
      from generate_series(1, ${String(ROWS)}) g`);
  await store.script(`vacuum analyze ${SCHEMA}.r`);
  const rows = { from: sql.id(SCHEMA, 'r'), columns: ['id', 'name', 'x', 'at'] };
  const key = new Uint8Array(32).fill(7);
  return {
    sum: await rounds(() => readPinned(store, (reader) => sumRows(reader, rows))),
    keyed: await rounds(() =>
      readPinned(store, (reader) => keyedDigest(reader, rows, { key, purpose: 'bench' })),
    ),
  };
}

/** Seven columns, two defaults, a primary key, a check and a second index: twelve objects a table. */
async function makeTables(store: Store): Promise<void> {
  await store.script(`create schema ${SCHEMA}`);
  for (let from = 1; from <= TABLES; from += 500) {
    await store.script(`do $$ begin for i in ${String(from)}..${String(Math.min(TABLES, from + 499))} loop
      execute format('create table ${SCHEMA}.t%s (id int primary key, a text not null default ''x'', b int, c timestamptz,
        d numeric(10,2), e int, f boolean default false, constraint t%s_check check (b > 0))', i, i);
      execute format('create index t%s_b on ${SCHEMA}.t%s (b, c)', i, i); end loop; end $$`);
  }
  await store.script('vacuum analyze');
}

/** In pieces: a transaction may lock some thousands of tables. */
async function dropAll(store: Store): Promise<void> {
  for (;;) {
    const tables = await store.query<{ name: string }>(
      sql`select relname::text as name from pg_class where relnamespace = to_regnamespace(${SCHEMA}) and relkind = 'r' limit 300`,
    );
    if (tables.length === 0) break;
    await store.script(`drop table ${tables.map(({ name }) => `${SCHEMA}.${name}`).join(', ')}`);
  }
  await store.script(`drop schema if exists ${SCHEMA} cascade`);
}
