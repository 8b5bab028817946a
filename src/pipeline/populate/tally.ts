import { refusal, type Finding } from '../../base/index.ts';
import type { Batch, BatchResult } from '../batch/batch.ts';

/** What became of the keys of one table: counts, and what failed by code. */
export class Tally {
  computed = 0;
  failed = 0;
  readonly #table: string;
  readonly #failures = new Map<string, { keys: number; keptOldRows: number }>();

  constructor(table: string) {
    this.#table = table;
  }

  add(done: BatchResult, mode: Batch['mode']): void {
    this.computed += done.computed;
    this.failed += done.failures.length;
    for (const { code } of done.failures) {
      const { keys, keptOldRows } = this.#failures.get(code) ?? { keys: 0, keptOldRows: 0 };
      this.#failures.set(code, { keys: keys + 1, keptOldRows: keptOldRows + (mode === 'replace' ? 1 : 0) });
    }
  }

  /** Takes these for all that failed. */
  settle(failures: readonly { readonly code: string; readonly keys: number }[]): void {
    this.#failures.clear();
    for (const { code, keys } of failures) this.#failures.set(code, { keys, keptOldRows: 0 });
    this.failed = failures.reduce((sum, { keys }) => sum + keys, 0);
  }

  findings(run: string): readonly Finding[] {
    const list = `Run \`varve jobs list ${this.#table}\` to see each key and its error, then \`varve jobs retry ${this.#table}\`.`;
    return [...this.#failures].map(([code, { keys, keptOldRows }]) =>
      refusal(code as Finding['code'], this.#table, {
        // A key that was stale still has the row from before: old, but whole.
        detail: { keys, ...(keptOldRows === 0 ? {} : { keptOldRows }), run },
        hint:
          keptOldRows === 0 ? list : `${list} Keys that were computed before keep their old rows until then.`,
      }),
    );
  }
}
