/** What a governed run would do to a whole corpus: what a coverage report says, and what limits and scope are held to. */
import type { Finding } from '../../base/index.ts';
import { countItem, NO_COUNTS, type BatchCounts } from '../batch.ts';
import type { CoverageReport } from '../coverage-report.ts';
import { coverCorpus, type Corpus, type CorpusDocument } from '../coverage.ts';
import type { Model } from '../model.ts';
import type { Version } from '../version.ts';
import { changedPointers, type AllowedPaths } from './changed-pointer.ts';
import { migrateWithin } from './migrate-within.ts';

/** What a run would do. */
export interface RunCoverage {
  readonly report: CoverageReport;
  readonly counts: BatchCounts;
  /** JSON Pointers that some document changes, those within arrays by the array. */
  readonly pointers: readonly string[];
  /** What of the report is more than the type allows. */
  readonly findings: readonly Finding[];
}

const NOW = '1970-01-01T00:00:00.000Z';

/** Moves every document and writes nothing. */
export async function coverForRun(
  model: Model,
  documents: Corpus,
  {
    to,
    isLossy,
    allowedPaths,
  }: { readonly to: Version; readonly isLossy: boolean; readonly allowedPaths?: AllowedPaths | undefined },
): Promise<RunCoverage> {
  let counts = NO_COUNTS;
  const pointers = new Set<string>();
  const options = {
    now: NOW,
    run: '',
    allowLossy: isLossy,
    ...(allowedPaths === undefined ? {} : { allowedPaths }),
  };
  const watched = async function* (): AsyncGenerator<CorpusDocument> {
    for await (const document of documents) {
      const bytes = 'bytes' in document ? document.bytes : new Uint8Array();
      const item = migrateWithin(model, bytes, to, options);
      counts = countItem(counts, item);
      if (item.status === 'migrated')
        for (const each of changedPointers(model, textOf(bytes), textOf(item.bytes))) pointers.add(each);
      yield document;
    }
  };
  const { report, findings } = await coverCorpus(model, watched(), to, { now: NOW });
  return { report, findings, counts, pointers: [...pointers].toSorted() };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}
