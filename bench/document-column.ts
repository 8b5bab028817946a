/**
 * Documents of 1.1 KB in a column of jsonb: built beside, put in place, one connection, on a server that waits for its disk;
 * and built on four connections.
 * Meanwhile another session writes another column of random rows, and how long its longest write took is what a lock costs.
 */
import { sqlStoreOf } from '../src/cli/document-store.ts';
import { VarveError } from '../src/base/index.ts';
import { migrateTable, postgresTable, type DocumentTable } from '../src/document/edge/index.ts';
import type { DocumentType } from '../src/document/index.ts';
import type { Model } from '../src/document/model.ts';
import { sql } from '../src/store/index.ts';
import { postgresStore } from '../src/store/postgres/index.ts';
import { serverSeconds } from './evolution/processor-time.ts';
import { atLeast, atMost, figure, type Figure } from './figure.ts';

const ROWS = 20_000;
const NOW = '2026-05-12T00:00:00.000Z';

/** Measures on a server's database. */
export async function benchDocumentColumn(
  serverUrl: string,
  type: DocumentType<unknown>,
  documents: readonly string[],
): Promise<readonly Figure[]> {
  await using store = await postgresStore({ url: serverUrl });
  await store.script(
    'create schema bench_document; create table bench_document.trace (id int primary key, body jsonb, seen int not null default 0)',
  );
  const at = Array.from({ length: ROWS }, (_, index) => documents[index % documents.length] ?? '');
  await store.execute(sql`
    insert into bench_document.trace select n, t::jsonb from unnest(${at}::text[]) with ordinality as u(t, n)`);
  const table = await postgresTable(sqlStoreOf(store), {
    schema: 'bench_document',
    table: 'trace',
    column: 'body',
  });
  const model = type.model();
  if (table.status === 'refused' || model.status === 'refused') throw unusable();
  const onFourMs = await buildAlone(model.value, table.value, 4);
  const endedAtMs = { build: 0, asked: 0, 'cut over': 0, settle: 0 };
  let [longestBatchMs, lastAtMs] = [0, performance.now()];
  const writer = startWriter(serverUrl);
  const secondsBefore = await serverSeconds(store);
  let [built, busyUs] = [0, Number.NaN];
  const startedAtMs = performance.now();
  const startedUs = process.threadCpuUsage();
  const result = await migrateTable(model.value, table.value, {
    now: NOW,
    onBatch: async (phase, documents) => {
      const nowMs = performance.now();
      if (phase === 'cut over' && endedAtMs['cut over'] > 0)
        longestBatchMs = Math.max(longestBatchMs, nowMs - lastAtMs);
      lastAtMs = nowMs;
      endedAtMs[phase] = nowMs;
      if (phase === 'build' && (built += documents) === ROWS) {
        const { user, system } = process.threadCpuUsage(startedUs);
        busyUs =
          user + system + ((await serverSeconds(store)) ?? Number.NaN) * 1e6 - (secondsBefore ?? 0) * 1e6;
        endedAtMs.asked = performance.now() - nowMs;
      }
    },
  });
  const longestWriteMs = await writer.stop();
  await store.script('drop schema bench_document cascade; drop schema varve_history cascade');
  if (result.status === 'refused') throw unusable();
  const perSecond = (ms: number): number => (ROWS * 1000) / ms;
  return [
    atLeast(
      'PostgreSQL: build on one connection',
      perSecond(endedAtMs.build - startedAtMs),
      'documents/s',
      5_000,
    ),
    atLeast('PostgreSQL: build on four connections', perSecond(onFourMs), 'documents/s', 15_000),
    figure('PostgreSQL: build on one, processor time of server and client', busyUs / ROWS, 'us/document'),
    atLeast(
      'PostgreSQL: put in place',
      perSecond(endedAtMs['cut over'] - endedAtMs.build - endedAtMs.asked),
      'documents/s',
      20_000,
    ),
    atMost('PostgreSQL: longest batch', longestBatchMs, 'ms', 250),
    atMost('PostgreSQL: longest write of another session', longestWriteMs, 'ms', 250),
    figure('PostgreSQL: documents', result.counts.migrated, 'documents'),
  ];
}

/** Builds and puts nothing in place, since no document may be. */
async function buildAlone(model: Model, table: DocumentTable, connections: number): Promise<number> {
  const startedAtMs = performance.now();
  let endedAtMs = startedAtMs;
  const result = await migrateTable(model, table, {
    run: 'alone',
    now: NOW,
    connections,
    limits: { documents: 0 },
    onBatch: () => {
      endedAtMs = performance.now();
    },
  });
  if (result.counts?.migrated !== ROWS) throw unusable();
  return endedAtMs - startedAtMs;
}

function unusable(): VarveError {
  return new VarveError('internal', { hint: "The benchmark's documents were not migrated." });
}

function startWriter(url: string): { readonly stop: () => Promise<number> } {
  const stopping = new AbortController();
  const work = (async () => {
    await using store = await postgresStore({ url, poolSize: 1 });
    let longestMs = 0;
    for (let turn = 1; !stopping.signal.aborted; turn += 1) {
      const id = ((turn * 7919) % ROWS) + 1;
      const startedMs = performance.now();
      await store.execute(sql`update bench_document.trace set seen = seen + 1 where id = ${id}`);
      longestMs = Math.max(longestMs, performance.now() - startedMs);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return longestMs;
  })();
  return {
    stop: () => {
      stopping.abort();
      return work;
    },
  };
}
