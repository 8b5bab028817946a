/**
 * The report over a corpus, on the one thread that it has, by processor time. `VARVE_BENCH_DOCUMENT_REPORT` documents
 * instead of 100,000; the figure is for a million.
 */
import { VarveError } from '../src/base/index.ts';
import type { DocumentType } from '../src/document/index.ts';
import { atMost, figure, type Figure } from './figure.ts';

const DOCUMENTS = Number(process.env['VARVE_BENCH_DOCUMENT_REPORT'] ?? 100_000);
const NOW = { now: '2026-05-12T00:00:00.000Z' };

/** Measures the report over these documents, again and again. */
export async function benchCoverage(
  type: DocumentType<unknown>,
  documents: readonly Uint8Array[],
): Promise<readonly Figure[]> {
  await type.coverage(corpus(documents, 2_000), '2.0.0', NOW);
  const startedUs = process.threadCpuUsage();
  const result = await type.coverage(corpus(documents, DOCUMENTS), '2.0.0', NOW);
  const { user, system } = process.threadCpuUsage(startedUs);
  const report = 'report' in result ? result.report : undefined;
  if (report?.documents !== DOCUMENTS || report.roundTrip.equal !== DOCUMENTS)
    throw new VarveError('internal', { hint: "The benchmark's report counts other documents." });
  const seconds = (user + system) / DOCUMENTS;
  return [
    figure('documents of the report', DOCUMENTS, 'documents'),
    // The target is that of four cores.
    atMost('report over a million documents, one thread', seconds, 's', 60),
  ];
}

async function* corpus(
  documents: readonly Uint8Array[],
  count: number,
): AsyncGenerator<{ readonly id: string; readonly bytes: Uint8Array }> {
  for (let at = 0; at < count; at += 1)
    yield { id: String(at), bytes: documents[at % documents.length] ?? new Uint8Array() };
}
