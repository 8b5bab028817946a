/** One measured value beside what it has to reach; both null where nothing is asked of it. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  readonly target: number | null;
  readonly met: boolean | null;
  /** The least and the most of the measurements whose median this is. */
  readonly range?: readonly [number, number];
}

/** A figure that stands for itself. */
export function figure(name: string, value: number, unit: string): Figure {
  return { name, value: rounded(value), unit, target: null, met: null };
}

/** A figure that must not pass its target. */
export function atMost(name: string, value: number, unit: string, target: number): Figure {
  return { name, value: rounded(value), unit, target, met: value <= target };
}

/** A figure that must reach its target. */
export function atLeast(name: string, value: number, unit: string, target: number): Figure {
  return { name, value: rounded(value), unit, target, met: value >= target };
}

/** The median of these measurements, with the least and the most of them. */
export function spread(name: string, values: readonly number[], unit: string): Figure {
  return {
    ...figure(name, median(values), unit),
    range: [rounded(Math.min(...values)), rounded(Math.max(...values))],
  };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** The middle of these values. */
export function median(values: readonly number[]): number {
  return values.toSorted((left, right) => left - right)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** How long the work took. */
export async function timedMs(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return performance.now() - startedMs;
}

/**
 * Runs each of these works in turn, so many rounds, and gives the median time of each, in their order. What disturbs the
 * machine for a while disturbs all of them alike, so their ratios hold where single times do not.
 */
export async function alternate(
  rounds: number,
  works: readonly (() => Promise<number>)[],
): Promise<readonly number[]> {
  return (await alternateAll(rounds, works)).map(median);
}

/** The same with what each round of each work gave. */
export async function alternateAll<T>(
  rounds: number,
  works: readonly (() => Promise<T>)[],
): Promise<readonly (readonly T[])[]> {
  const results: T[][] = works.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    for (const [at, work] of works.entries()) results[at]?.push(await work());
  }
  return results;
}
