/**
 * Keeps pages on several connections at once, and vouches for them in their order: how far a run is never passes a page that
 * is not kept. A run that is killed between finds pages behind that place, and they are made and kept again, to the same
 * rows.
 */
import type { BuiltDocument, DocumentTable, RowKey } from './document-table.ts';

/** A page that was built. */
export interface BuiltPage {
  readonly documents: readonly BuiltDocument[];
  /** The last key of it. */
  readonly place: RowKey | undefined;
  /** Whether it is the last page. */
  readonly isBuilt: boolean;
}

/** Pages on their way into the table of a run; closed, none is any more. */
export interface PageKeeper extends AsyncDisposable {
  /** Sends a page on its way; how many may be is up to the caller. */
  readonly keep: (page: BuiltPage) => void;
  /** Returns when at most this many are on their way. Throws what kept one from being kept. */
  readonly wait: (most: number) => Promise<void>;
}

/** Nothing is on its way yet. `onKept` is called for each page, in order, once it is vouched for. */
export function keepPages(
  table: Pick<DocumentTable, 'keep'>,
  run: string,
  onKept: (page: BuiltPage) => void | Promise<void>,
): PageKeeper {
  const onWay: Promise<void>[] = [];
  /** The oldest one: its documents and how far the run is, in one transaction. */
  const keepFirst = async (page: BuiltPage): Promise<void> => {
    await table.keep(run, page.documents, page);
    await onKept(page);
  };
  const keepBehind = async (page: BuiltPage, before: Promise<void>): Promise<void> => {
    const kept = table.keep(run, page.documents);
    // Where one fails, the other is not left to itself.
    await Promise.allSettled([before, kept]);
    await before;
    await kept;
    await table.keep(run, [], page);
    await onKept(page);
  };
  return {
    keep: (page) => {
      const before = onWay.at(-1);
      const kept = before === undefined ? keepFirst(page) : keepBehind(page, before);
      // Whoever waits learns of a fault.
      kept.catch(() => undefined);
      onWay.push(kept);
    },
    wait: async (most) => {
      while (onWay.length > most) {
        await onWay[0];
        void onWay.shift();
      }
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled(onWay);
    },
  };
}
