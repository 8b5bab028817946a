/**
 * What a reader waits for beside the store: single reads of documents of 1.1 KB, old ones and current ones, from a store
 * that answers at once. Elapsed, each read for itself, since the last percent is asked for.
 */
import { VarveError } from '../src/base/index.ts';
import { readLazily } from '../src/document/lazy.ts';
import type { DocumentType } from '../src/document/index.ts';
import { atMost, type Figure } from './figure.ts';

const READS = 50_000;
const WARM_UP = 5_000;
const NOW = { now: '2026-05-12T00:00:00.000Z' };

/** Measures reads of these documents. */
export async function benchLazyReads(
  type: DocumentType<unknown>,
  old: readonly Uint8Array[],
  current: readonly Uint8Array[],
): Promise<readonly Figure[]> {
  return [
    ...(await measure(type, old, 'lazy read of an old document')),
    ...(await measure(type, current, 'lazy read of a current document')),
  ];
}

async function measure(
  type: DocumentType<unknown>,
  documents: readonly Uint8Array[],
  name: string,
): Promise<readonly Figure[]> {
  const model = type.model();
  if (model.status === 'refused')
    throw new VarveError('internal', { hint: 'The type of the benchmark is broken.' });
  const store = {
    read: async (id: string) => ({ bytes: documents[Number(id)] ?? new Uint8Array(), revision: '1' }),
    write: async () => true,
  };
  const tookUs: number[] = [];
  for (let turn = 0; turn < WARM_UP + READS; turn += 1) {
    // Another place each time, as readers of a store ask for it.
    const id = String((turn * 7919) % documents.length);
    const startedMs = performance.now();
    await readLazily(model.value, store, id, NOW);
    if (turn >= WARM_UP) tookUs.push((performance.now() - startedMs) * 1000);
  }
  tookUs.sort((left, right) => left - right);
  const at = (share: number): number => tookUs[Math.floor(tookUs.length * share)] ?? Number.NaN;
  return [atMost(`${name}, p50`, at(0.5), 'us', 20), atMost(`${name}, p99`, at(0.99), 'us', 150)];
}
