/**
 * Documents of a column, moved as they are read, while a migration of them is open for readers.
 *
 * What a read has moved is written back by compare-and-swap on the text that was read, with its original and what stands
 * beside it, as a part of the open run: the last sweep counts it, and the way back restores it. Who comes second reads again,
 * three times at most, and then returns what it has unwritten. Without an open run, or under another type than the run's,
 * nothing is written.
 */
import { typeDigest } from '../../digest.ts';
import type { LazyRead } from '../../lazy.ts';
import type { Model } from '../../model.ts';
import type { Outcome } from '../../outcome.ts';
import { migrateText } from '../../text.ts';
import { buildDocument, type BuildOptions } from './build-document.ts';
import type { GovernedTable, RowKey, StoredDocument } from './document-table.ts';
import { planOf } from './migrate-table.ts';

const MOST_TRIES = 3;

/** What a reader needs of a column. */
export type ReadableTable = Pick<GovernedTable, 'read' | 'openForReaders' | 'writeBack'>;

/** Reads one document as the current version, by the key of its row; undefined where there is none. */
export async function readTableLazily(
  model: Model,
  table: ReadableTable,
  key: RowKey,
): Promise<LazyRead | undefined> {
  for (let tries = 1; ; tries += 1) {
    const stored = await table.read(key);
    if (stored === undefined) return undefined;
    const outcome = migrateText(model, Buffer.from(stored.text, 'utf8'), undefined);
    const run = outcome.status === 'migrated' ? await openRun(model, table) : undefined;
    if (run === undefined) return { outcome, isWritten: false };
    const written = await writeBack(table, stored, run);
    if (written !== undefined) return { outcome: withDocument(outcome, written), isWritten: true };
    if (tries === MOST_TRIES) return { outcome, isWritten: false };
  }
}

async function openRun(model: Model, table: ReadableTable): Promise<BuildOptions | undefined> {
  const open = await table.openForReaders();
  if (open === undefined) return undefined;
  const plan = planOf(open.plan);
  if (plan.type !== typeDigest(model) || plan.to !== model.current) return undefined;
  const { to, allowLossy, allowedPaths } = plan;
  return {
    model,
    to,
    now: open.now,
    run: open.run,
    allowLossy,
    ...(allowedPaths === null ? {} : { allowedPaths }),
  };
}

/** The text that stands there now, or undefined where somebody was quicker or the run took it no more. */
async function writeBack(
  table: ReadableTable,
  stored: StoredDocument,
  run: BuildOptions,
): Promise<string | undefined> {
  const built = buildDocument(stored, run);
  if (built.text === null) return undefined;
  return (await table.writeBack(run.run, built)) ? built.text : undefined;
}

function withDocument(outcome: Outcome<Uint8Array>, text: string): Outcome<Uint8Array> {
  return outcome.status === 'migrated' ? { ...outcome, document: Buffer.from(text, 'utf8') } : outcome;
}
