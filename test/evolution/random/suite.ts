import { expect, it } from 'vitest';
import { printedSeed } from '../../pipeline/crash-worker.ts';
import type { StoreUnderTest } from '../../harness/index.ts';
import { runCase } from './case.ts';
import { EDITS } from './edit.ts';

/** So many failures are told; one fault shows itself in many cases. */
const MAX_TOLD = 5;

/**
 * Without a number of cases these are run, the same each time, all of which have passed: too few drawn anew have passed in
 * one piece since a fault was last found for CI to be trusted with new ones. `VARVE_TEST_CASES=1000` goes on looking.
 */
const KNOWN_SEED = 930_000_000;
const KNOWN_CASES = 100;

/** Which of the cases a store runs, as shares of all: no two stores run the same one. */
export interface Share {
  readonly from: number;
  readonly to: number;
}

/**
 * Runs this store's share of the random cases. `VARVE_TEST_CASES` says how many there are on all stores together, and
 * `VARVE_TEST_SEED` with `VARVE_TEST_CASES=1` runs one that failed again, on every store.
 */
export function randomCases(given: StoreUnderTest, { from, to }: Share): void {
  const asked = process.env['VARVE_TEST_CASES'];
  const seed = asked === undefined ? KNOWN_SEED : printedSeed('random evolutions');
  const all = Number(asked ?? KNOWN_CASES);
  const first = Math.floor(all * from);
  const count = Math.max(1, Math.floor(all * to) - first);
  it('what an evolution leaves equals dropping everything and populating, with nothing computed that could be kept', async () => {
    const failures: string[] = [];
    const done = new Map<string, number>();
    for (let at = first; at < first + count && failures.length < MAX_TOLD; at += 1) {
      try {
        const { edits } = await runCase(given.store, { seed: seed + at, edits: Object.keys(EDITS) });
        for (const edit of edits) done.set(edit, (done.get(edit) ?? 0) + 1);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
    }
    console.info(
      `random evolutions on ${given.name}: ${String(count)} cases from seed ${String(seed + first)}, ${JSON.stringify(Object.fromEntries(done))}`,
    );
    expect(failures).toEqual([]);
  }, 3_600_000);
}
