import { refusal, type Finding, type JsonObject } from '../../base/index.ts';
import type { Batch, BatchResult } from '../batch/batch.ts';
import { encodeKey } from '../encode-row.ts';

/** Runs that compute beside the table: their jobs go with what they built. */
const BESIDE: ReadonlySet<string | undefined> = new Set(['evolution', 'verify']);
const NAMED_KEYS = 5;

interface Failed {
  readonly keys: number;
  readonly keptOldRows: number;
  readonly first: readonly JsonObject[];
}

const NONE: Failed = { keys: 0, keptOldRows: 0, first: [] };

/** What became of the keys of one table: counts, and what failed by code. */
export class Tally {
  computed = 0;
  failed = 0;
  readonly #table: string;
  readonly #failures = new Map<string, Failed>();

  constructor(table: string) {
    this.#table = table;
  }

  add(done: BatchResult, mode: Batch['mode']): void {
    this.computed += done.computed;
    this.failed += done.failures.length;
    for (const { code, key } of done.failures) {
      const { keys, keptOldRows, first } = this.#failures.get(code) ?? NONE;
      this.#failures.set(code, {
        keys: keys + 1,
        keptOldRows: keptOldRows + (mode === 'replace' ? 1 : 0),
        first: first.length < NAMED_KEYS ? [...first, encodeKey(key)] : first,
      });
    }
  }

  /** Takes these for all that failed. */
  settle(failures: readonly { readonly code: string; readonly keys: number }[]): void {
    this.#failures.clear();
    for (const { code, keys } of failures) this.#failures.set(code, { ...NONE, keys });
    this.failed = failures.reduce((sum, { keys }) => sum + keys, 0);
  }

  /** Of a run with this name, and of this kind where it is no populate of its own. */
  findings(run: string, kind?: string): readonly Finding[] {
    const list = `Run \`varve jobs list ${this.#table}\` to see each key and its error, then \`varve jobs retry ${this.#table}\`.`;
    return [...this.#failures].map(([code, { keys, keptOldRows, first }]) => {
      if (BESIDE.has(kind)) {
        return refusal(code as Finding['code'], this.#table, {
          // A proof tells of keys by their digests alone.
          detail: { keys, ...(kind === 'evolution' ? { first } : {}), run },
          hint: 'Correct the make, or what it reads, so that it computes these keys, and repeat.',
        });
      }
      return refusal(code as Finding['code'], this.#table, {
        // A key that was stale still has the row from before: old, but whole.
        detail: { keys, ...(keptOldRows === 0 ? {} : { keptOldRows }), run },
        hint:
          keptOldRows === 0 ? list : `${list} Keys that were computed before keep their old rows until then.`,
      });
    });
  }
}
