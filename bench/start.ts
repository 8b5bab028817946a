/**
 * Populate with ten million keys missing: when its first keys are computed, and what memory it takes while it goes on.
 * The process under measurement is one of its own, so that its memory is only its own.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createTables, loadRelations, recordDeployment } from '../src/pipeline/index.ts';
import { sql } from '../src/store/index.ts';
import { installCatalog, readCatalogFiles } from '../src/store/postgres/index.ts';
import { atMost, figure, type Figure } from './figure.ts';
import { defineStart, MADE } from './start-definition.ts';
import type { BenchStores } from './stores.ts';

const MISSING = Number(process.env['VARVE_BENCH_MISSING'] ?? 10_000_000);
/** Keys to compute before it is stopped. */
const ENOUGH = Math.min(500_000, Math.floor(MISSING / 2));

/** Measures the start of a populate that has very much to do. */
export async function benchStart({ server, serverUrl, progress }: BenchStores): Promise<readonly Figure[]> {
  const definitions = defineStart();
  await installCatalog(server, { files: await readCatalogFiles() });
  await server.transaction({}, async (transaction) => {
    const relations = await loadRelations(transaction);
    const own = definitions.set.tables.filter(({ name }) => !relations.has(name));
    await createTables(transaction, own, { set: definitions.set, relations, run: 'varve://run/bench' });
    await recordDeployment(transaction, definitions.set, definitions.digest, 'varve://run/bench');
  });
  progress(`${MISSING} keys`);
  await server.execute(sql`insert into start.source select g, g from generate_series(1, ${MISSING}::int) g`);
  await server.script('vacuum analyze start.source');
  progress(`populate, for ${ENOUGH} of them`);
  // The package as it is installed: loading the sources takes memory of its own.
  await promisify(execFile)(process.execPath, [
    fileURLToPath(new URL('../scripts/build.ts', import.meta.url)),
  ]);
  const { stdout } = await promisify(execFile)(process.execPath, [
    fileURLToPath(new URL('start-process.ts', import.meta.url)),
    serverUrl,
    String(ENOUGH),
  ]);
  const { firstMs, peakMb, usPerKey } = JSON.parse(stdout) as Readonly<Record<string, number>>;
  await server.script(`drop table ${MADE}, start.source; truncate varve.computation`);
  return [
    atMost('first keys computed', firstMs ?? NaN, 'ms', 2_000),
    atMost('memory at most', peakMb ?? NaN, 'MB', 300),
    figure('populate', usPerKey ?? NaN, 'us/key'),
  ];
}
