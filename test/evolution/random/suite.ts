import { expect, it } from 'vitest';
import { printedSeed } from '../../pipeline/crash-worker.ts';
import type { StoreUnderTest } from '../../harness/index.ts';
import { runCase } from './case.ts';
import { EDITS } from './edit.ts';

/** So many failures are told; one fault shows itself in many cases. */
const MAX_TOLD = 5;

/**
 * Without a number of cases these are run, the same each time, so that what is red was green before the change that is looked
 * at. `VARVE_TEST_CASES=1000` runs others, from a seed that it prints.
 */
const KNOWN_SEED = 930_000_000;
const KNOWN_CASES = 1000;

/** Cases that were wrong once, for a fault of the engine or of what it is compared with. */
const ONCE_WRONG: readonly number[] = [
  640_000_072, 640_000_108, 640_000_109, 640_000_111, 650_000_016, 650_000_039, 660_000_600, 930_000_035,
  930_000_608, 930_000_175,
];

/** Which of the cases a store runs, as shares of all: no two stores run the same one. */
export interface Share {
  readonly from: number;
  readonly to: number;
}

/**
 * Runs this store's share of the random cases, after those that were wrong once. `VARVE_TEST_CASES` says how many there are
 * on all stores together, and `VARVE_TEST_SEED` with `VARVE_TEST_CASES=1` runs one that failed again, on every store.
 */
export function randomCases(given: StoreUnderTest, { from, to }: Share): void {
  const asked = process.env['VARVE_TEST_CASES'];
  const seed = asked === undefined ? KNOWN_SEED : printedSeed('random evolutions');
  const all = Number(asked ?? KNOWN_CASES);
  const first = Math.floor(all * from);
  const count = Math.max(1, Math.floor(all * to) - first);
  const seeds = [
    ...(asked === undefined ? ONCE_WRONG : []),
    ...Array.from({ length: count }, (_, at) => seed + first + at),
  ];
  it('what an evolution leaves equals dropping everything and populating, with nothing computed that could be kept', async () => {
    const failures: string[] = [];
    const done = new Map<string, number>();
    const startedAt = performance.now();
    let cases = 0;
    for (const each of seeds) {
      if (failures.length >= MAX_TOLD) break;
      try {
        const { edits } = await runCase(given.store, { seed: each, edits: Object.keys(EDITS) });
        for (const edit of edits) done.set(edit, (done.get(edit) ?? 0) + 1);
      } catch (error) {
        failures.push(error instanceof Error ? error.message : String(error));
      }
      cases += 1;
    }
    const seconds = Math.round((performance.now() - startedAt) / 1000);
    console.info(
      `random evolutions on ${given.name}: ${String(cases)} cases in ${String(seconds)} s, from seed ${String(seed + first)}, ${JSON.stringify(Object.fromEntries(done))}`,
    );
    expect(failures).toEqual([]);
  }, 3_600_000);
}
