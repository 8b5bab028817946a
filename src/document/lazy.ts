/**
 * Documents of a store, moved when they are read and only then (D24).
 *
 * Without write-back the stored bytes stay as they are. With it, what a read has moved is written by compare-and-swap on
 * the revision that was read: who comes second reads again, three times at most, and then returns what it has unwritten.
 * What cannot stand in the document itself is never written back, since the store would have no place for it.
 */
import type { Finding } from '../base/index.ts';
import type { Model } from './model.ts';
import type { Outcome } from './outcome.ts';
import { migrateText, type TextOptions } from './text.ts';

/** Where documents lie: bytes by id, with a revision that changes with each write. */
export interface DocumentStore {
  readonly read: (
    id: string,
  ) => Promise<{ readonly bytes: Uint8Array; readonly revision: string } | undefined>;
  /** Writes if the revision is still this one; says whether it was. */
  readonly write: (id: string, bytes: Uint8Array, revision: string) => Promise<boolean>;
}

/** How documents are read. */
export interface LazyOptions extends TextOptions {
  /** Whether what was moved is written. Default false. */
  readonly writeBack?: boolean;
}

/** What a read gave, and whether the store has it by now. */
export interface LazyRead {
  readonly outcome: Outcome<Uint8Array>;
  readonly isWritten: boolean;
}

const MOST_TRIES = 3;

/** Reads one document as the current version; undefined where there is none. */
export async function readLazily(
  model: Model,
  store: DocumentStore,
  id: string,
  options: LazyOptions = {},
): Promise<LazyRead | undefined> {
  for (let tries = 1; ; tries += 1) {
    const stored = await store.read(id);
    if (stored === undefined) return undefined;
    const outcome = migrateText(model, stored.bytes, undefined, options);
    if (outcome.status !== 'migrated' || options.writeBack !== true || isBeside(outcome.findings)) {
      return { outcome, isWritten: false };
    }
    const isWritten = await store.write(id, outcome.document, stored.revision);
    if (isWritten || tries === MOST_TRIES) return { outcome, isWritten };
  }
}

function isBeside(findings: readonly Finding[]): boolean {
  return findings.some(({ code }) => code === 'kept_beside');
}
