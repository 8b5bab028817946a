/**
 * How well units agree with the neurons that were planted. A spike is found where a unit has one within the tolerance;
 * each spike counts once. A unit stands for the neuron with which it shares most spikes, a neuron for one unit.
 */

/** Counts over all neurons and units of one recording. */
export interface Accuracy {
  /** Spikes that were planted. */
  readonly planted: number;
  /** Spikes that were sorted. */
  readonly sorted: number;
  /** Planted spikes of which the unit that stands for their neuron has one. */
  readonly found: number;
  /** Neurons for which a unit stands. */
  readonly matched: number;
}

/** Compares trains of spikes: samples from the start, rising; `tolerance` in samples. */
export function accuracyOf(
  neurons: readonly (readonly number[])[],
  units: readonly (readonly number[])[],
  tolerance: number,
): Accuracy {
  const pairs = neurons.flatMap((planted, neuron) =>
    units.map((sorted, unit) => ({ neuron, unit, shared: sharedSpikes(planted, sorted, tolerance) })),
  );
  const takenNeurons = new Set<number>();
  const takenUnits = new Set<number>();
  let found = 0;
  for (const { neuron, unit, shared } of pairs.toSorted((left, right) => right.shared - left.shared)) {
    if (shared === 0 || takenNeurons.has(neuron) || takenUnits.has(unit)) continue;
    takenNeurons.add(neuron);
    takenUnits.add(unit);
    found += shared;
  }
  return { planted: countOf(neurons), sorted: countOf(units), found, matched: takenNeurons.size };
}

/** How many spikes two trains have in common, each spike paired once. */
export function sharedSpikes(left: readonly number[], right: readonly number[], tolerance: number): number {
  let [at, other, shared] = [0, 0, 0];
  while (at < left.length && other < right.length) {
    const apart = (left[at] ?? 0) - (right[other] ?? 0);
    if (Math.abs(apart) <= tolerance) {
      shared += 1;
      at += 1;
      other += 1;
    } else if (apart < 0) at += 1;
    else other += 1;
  }
  return shared;
}

function countOf(trains: readonly (readonly number[])[]): number {
  return trains.reduce((sum, train) => sum + train.length, 0);
}
