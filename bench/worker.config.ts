/** Definitions that the benchmark of workers shares with the threads and processes it starts. */
import { createHash } from 'node:crypto';
import { pipeline, t, type AnyTable, type Pipeline } from '../src/pipeline/index.ts';

const lab: Pipeline = pipeline('worker_bench');
const Source = lab.manual('source', { key: { id: t.integer() }, columns: { value: t.integer() } });

/** Some 2 ms of hashing. */
export function hashOf(value: number): string {
  let digest = Buffer.from(String(value).padEnd(64 * 1024, '.'));
  for (let round = 0; round < 40; round += 1) {
    digest = Buffer.concat([createHash('sha256').update(digest).digest(), digest.subarray(32)]);
  }
  return digest.subarray(0, 32).toString('hex');
}

const Hashed = lab.computed('hashed', {
  parents: [Source],
  columns: { digest: t.text() },
  reads: { source: Source },
  make: ({ source }) => ({ digest: hashOf(source.value) }),
});

const Trivial = lab.computed('trivial', {
  parents: [Source],
  columns: { next: t.integer() },
  reads: { source: Source },
  make: ({ source }) => ({ next: source.value + 1 }),
});

export const tables: { readonly hashed: AnyTable; readonly trivial: AnyTable } = {
  hashed: Hashed,
  trivial: Trivial,
};

const config: { readonly pipelines: readonly Pipeline[] } = { pipelines: [lab] };
export default config;
