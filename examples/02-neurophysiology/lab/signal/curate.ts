/** What a person decided on the units of a sorting, carried out. */

/** A decision on one unit. */
export interface Decision {
  readonly unit: number;
  readonly label: 'good' | 'noise' | 'merged';
  /** The unit that this one is a piece of. */
  readonly merged_into: number | null;
}

/** A sorting with the decisions on its units. */
export interface CurateInputs {
  readonly sorting: { readonly noise_uv: readonly number[] };
  readonly decisions: readonly Decision[];
  readonly units: readonly { readonly unit: number; readonly peak_channel: number }[];
  readonly spikes: readonly { readonly unit: number; readonly sample: number; readonly depth: number }[];
}

/** A unit that stands. */
export interface CuratedUnit {
  readonly unit: number;
  readonly peak_channel: number;
  /** Mean depth of its spikes, in microvolts. */
  readonly depth_uv: number;
  /** Samples from the start, rising. */
  readonly spike_train: readonly number[];
}

/** A unit of the sorting that a unit that stands was put together from. */
export interface Piece {
  readonly unit: number;
  readonly sorted_unit: number;
}

/** Puts pieces together and leaves out what is no unit. */
export function curate({ sorting, decisions, units, spikes }: CurateInputs): {
  readonly units: readonly CuratedUnit[];
  readonly pieces: readonly Piece[];
  readonly dropped: number;
} {
  const decisionByUnit = new Map(decisions.map((decision) => [decision.unit, decision]));
  const pieces = Map.groupBy(units, ({ unit }) => wholeOf(unit, decisionByUnit));
  const spikesByUnit = Map.groupBy(spikes, ({ unit }) => unit);
  const standing = [...pieces].filter(([unit]) => decisionByUnit.get(unit)?.label === 'good');
  return {
    units: standing.map(([unit, own]) => {
      const all = own.flatMap((piece) => spikesByUnit.get(piece.unit) ?? []);
      const peak_channel = own.find((piece) => piece.unit === unit)?.peak_channel ?? 0;
      const depth = all.reduce((sum, spike) => sum + spike.depth, 0) / Math.max(1, all.length);
      return {
        unit,
        peak_channel,
        depth_uv: depth * (sorting.noise_uv[peak_channel] ?? 0),
        spike_train: all.map(({ sample }) => sample).toSorted((left, right) => left - right),
      };
    }),
    pieces: standing.flatMap(([unit, own]) => own.map((piece) => ({ unit, sorted_unit: piece.unit }))),
    dropped: units.length - standing.reduce((sum, [, own]) => sum + own.length, 0),
  };
}

/** The unit at the end of `merged_into`. */
function wholeOf(unit: number, decisionByUnit: ReadonlyMap<number, Decision>): number {
  const seen = new Set<number>();
  let at = unit;
  for (;;) {
    const into = decisionByUnit.get(at)?.merged_into ?? null;
    if (into === null || seen.has(into)) return at;
    seen.add(at);
    at = into;
  }
}
